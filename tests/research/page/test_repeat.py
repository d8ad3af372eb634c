import json
import shlex

import pytest

from research.cli import make_parser
from research.commands import common
from research.experiments import recipes, splits
from research.page.repeat import repeat_of

OWN = """
from research import Method

TRY = Method("try", lambda experiment, blocks: {}, baseline="classic")
"""


def settings_of(words):
    """The settings that a command records, without running it; and how many threads it has."""
    options = make_parser().parse_args(words)
    recipes.settle(options)
    data = splits.prepared(options)
    if options.command == "train":
        base = common.experiment_of(options, data, method=options.method, seed=options.seed)
        named, seeds = {base.label: base}, [base.seed]
    else:
        from research import grid
        from research.running.comparison import of_methods
        from research.studies import load_study

        base = common.experiment_of(options, data)
        study = load_study(options.study) if options.study else None
        named = study.experiments(base) if study else of_methods(base, options.methods)
        named, _ = grid.expanded(named, dict(options.grid))
        seeds = options.seeds if isinstance(options.seeds, range) else range(options.seeds)
    return common.settings_of(options, base, data, named, seeds), options.threads


@pytest.mark.parametrize(
    "command",
    [
        "compare",
        "compare --iterations 20 --methods annealed,freezeout --seeds 5-7 --margin 0.2 --target 90",
        "compare --methods classic,{own} --data {data} --weight-decay 1e-4 --optimizer Adam",
        "compare --methods freezeout,shorter --grid t_0=0.5,0.8 scale_lr=yes,no --seeds 1",
        "compare --methods classic,stochastic --milestones 0.3,0.6 --gamma 0.5 --survival 0.4",
        "compare --methods classic,annealed --equal-time --freeze-iterations 7 --threads 1",
        "compare --study saving --data digits --epochs 1",
        "compare --study momentum --data digits --iterations 9 --seeds 2 --normalize",
        "compare --model wideresnet --depth 10 --widen-factor 1 --block 'B(3,1)' --no-augment",
        "train --method freezeout --preset thrifty --seed 7 --precision bfloat16 --cache off",
        "train --model densenet --data {data} --depth 22 --views 3 --epochs 2 --no-bottleneck",
        "train --method autofreeze --freeze-every 3 --train-images 99 --test-images 20",
        "train --method freezeout --const-time",
    ],
)
def test_the_command_of_a_page_has_the_settings_of_its_runs(tmp_path, colours, command):
    (tmp_path / "a method.py").write_text(OWN)
    own = shlex.quote(f"{tmp_path}/a method.py:TRY")
    settings, _ = settings_of(shlex.split(command.format(own=own, data=colours)))
    settings = json.loads(json.dumps(settings))  # as they are read back
    repeat = repeat_of({"settings": settings, "environment": {"threads": "2"}})
    program, *words = shlex.split(repeat.command)
    assert program == "resbatch"
    again, threads = settings_of(words)
    assert (json.loads(json.dumps(again)), threads) == (settings, 2)


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({"seeds": [0, 2]}, "--seeds 3"),
        ({"seeds": [4]}, "--seeds 4-4"),
        ({"methods": ["a; rm -rf /", "$(b)"], "seeds": [0]}, "--methods 'a; rm -rf /,$(b)'"),
        ({"base": "x y.keras", "freeze": ["a.*", "b"]}, "--base 'x y.keras' --freeze 'a.*' b"),
        ({"base": "resnet50", "normalize": False}, "--base resnet50 --out again"),
        ({"a_stranger": 3, "finetune_rate": 0.1, "base_sha256": "00"}, "--seeds 1 --out again"),
    ],
)
def test_a_shell_takes_it_as_it_is(settings, command):
    record = {"settings": {"command": "compare", **settings}, "environment": {"threads": "1; 2"}}
    repeat = repeat_of(record)
    assert command in repeat.command
    assert ("here are 0, 2." in repeat.notes[-1]) == (settings.get("seeds") == [0, 2])


@pytest.mark.parametrize(
    "settings", [{"command": "bench"}, {"command": "compare", "matched": False}]
)
def test_there_is_none_for_what_no_command_makes(settings):
    assert repeat_of({"settings": settings, "environment": {}}) is None
