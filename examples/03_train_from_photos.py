"""Train a scene on posed photographs, evaluate it on held-out views and write it to a file.

    python examples/03_train_from_photos.py demo/still_life --minutes 1 --out scene.ply

Like ``sfumato train``, from Python and without a run folder.
"""

import argparse
from pathlib import Path

import sfumato


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("scene.ply"))
    parser.add_argument("--downscale", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--steps", type=int, help="instead of minutes")
    given = parser.parse_args()

    capture = sfumato.load_capture(given.data, downscale=given.downscale)
    print(f"{len(capture.train_views)} photographs to train on, {len(capture.test_views)} held out")
    length = {"steps": given.steps} if given.steps else {"minutes": given.minutes}

    def report(state, stats):
        if state.step % 100 == 0:
            print(f"step {state.step}: loss {stats.loss:.4f}, {stats.gaussians:,} Gaussians")

    state = sfumato.train(capture, sfumato.TrainConfig(**length), callbacks=[report])
    quality = sfumato.evaluate(state.gaussians, capture.test_views, background=state.background)
    if quality.psnr is not None:
        print(f"held out: {quality.psnr:.2f} dB, SSIM {quality.ssim:.4f}")
    sfumato.save(state.gaussians, given.out)
    print(f"{len(state.gaussians):,} Gaussians in {given.out}")


if __name__ == "__main__":
    main()
