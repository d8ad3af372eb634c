"""Fine-tuning in PyTorch, eager, channels_last: a new classifier, the base under no_grad."""

import torch
from torch import nn

from research.benchmarks import torch_bases
from research.benchmarks.finetune_case import CLASSES, Case


def tuned(**case):
    """A function that trains a new classifier on the frozen base."""
    case = Case(**case)

    def run():
        torch.set_num_threads(case.threads)
        base, channels = getattr(torch_bases, case.base)(case)
        base = base.eval().to(memory_format=torch.channels_last)
        torch.manual_seed(case.seed)
        images, labels = map(torch.from_numpy, case.examples("train"))
        with case.phase() as made:
            head = nn.Linear(channels, CLASSES)
            optimizer = torch.optim.Adam(head.parameters(), lr=case.rates[0])
            for rows in case.batches(case.epochs, len(images)):
                optimizer.zero_grad(set_to_none=True)
                logits = head(_features(base, images[rows], case.normalize))
                loss = nn.functional.cross_entropy(logits, labels[rows].long())
                loss.backward()
                optimizer.step()
                made["losses"].append(loss.item())
        made["accuracy"] = _accuracy(base, head, case)
        return case.phases

    return run


@torch.no_grad()
def _features(base, images, normalize):
    """What the base makes of images, pooled."""
    images = images.permute(0, 3, 1, 2).float() / 255
    if normalize:
        mean, deviation = (torch.tensor(normalize[key])[:, None, None] for key in ("mean", "std"))
        images = (images - mean) / deviation
    return base(images.contiguous(memory_format=torch.channels_last)).mean((2, 3))


@torch.no_grad()
def _accuracy(base, head, case):
    test = case.examples("test")
    if not test:
        return None
    right, (images, labels) = 0, map(torch.from_numpy, test)
    for part, true in zip(images.split(case.batch_size), labels.split(case.batch_size)):
        right += (head(_features(base, part, case.normalize)).argmax(1) == true).sum().item()
    return right / len(images)
