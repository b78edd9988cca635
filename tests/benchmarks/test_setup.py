import subprocess

from benchmarks.setup import copy_tree, weights


def test_a_fresh_copy_holds_what_git_would_and_nothing_built(tmp_path):
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "runs").mkdir()
    (source / ".gitignore").write_text("runs/\n")
    (source / "src" / "a.py").write_text("a = 1\n")
    (source / "runs" / "big").write_text("built")
    subprocess.run(["git", "init", "-q", source], check=True)
    copy_tree(source, tmp_path / "copy")
    assert (tmp_path / "copy" / "src" / "a.py").read_text() == "a = 1\n"
    assert not (tmp_path / "copy" / "runs").exists()


def test_weights_are_weighed_by_model_and_together(tmp_path):
    for name, size in (("one", 2**20), ("two", 2**21)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(size))
    assert [(f.metric, f.value) for f in weights(tmp_path)] == [
        ("weights, one", 1.0), ("weights, two", 2.0), ("weights, all that ship", 3.0),
    ]  # fmt: skip
