"""Parts of a database: each process works on its own, and what it found is taken over when it is whole.

COLMAP keeps a database locked while it writes, so processes cannot share one; and a process that is killed
leaves nothing half-written in the whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pycolmap


class Parts:
    """Parts of one database, in a folder of their own.

    Args:
        whole: only read from, and written to, here.
        folder: for the parts.
    """

    def __init__(self, whole: pycolmap.Database, folder: Path) -> None:
        self.whole = whole
        self.ids: dict[str, int] = {image.name: image.image_id for image in whole.read_all_images()}
        self._folder = folder
        self._numbers = count()

    def cut(self, names: Iterable[str], *, with_features: bool) -> Path:
        """Copy some pictures and their cameras to a new database.

        Args:
            names: of the pictures.
            with_features: copy their features too.

        Returns:
            Its file.
        """
        import pycolmap

        # A new name each time: what a killed process had open may stay locked for a while.
        path = self._folder / f"{next(self._numbers)}.db"
        images = [self.whole.read_image(self.ids[name]) for name in names]
        frames = [self.whole.read_frame(number) for number in sorted({image.frame_id for image in images})]
        with pycolmap.Database.open(path) as part, pycolmap.DatabaseTransaction(part):
            for number in sorted({image.camera_id for image in images}):
                part.write_camera(self.whole.read_camera(number), use_camera_id=True)
            for number in sorted({frame.rig_id for frame in frames}):
                part.write_rig(self.whole.read_rig(number), use_rig_id=True)
            for frame in frames:
                part.write_frame(frame, use_frame_id=True)
            for image in images:
                part.write_image(image, use_image_id=True)
                if with_features and self.has_features(image.name):
                    _copy_features(self.whole, part, image.image_id)
        return path

    def has_features(self, name: str) -> bool:
        """Whether a picture's features were found, be there any or none."""
        number = self.ids[name]
        return self.whole.exists_keypoints(number) and self.whole.exists_descriptors(number)

    def is_compared(self, first: str, second: str) -> bool:
        """Whether two pictures were matched and verified."""
        pair = self.ids[first], self.ids[second]
        return self.whole.exists_matches(*pair) and self.whole.exists_two_view_geometry(*pair)

    def take_features(self, path: Path, names: Iterable[str]) -> None:
        """Copy the features of pictures from a part to the whole; the part is removed."""
        import pycolmap

        with pycolmap.Database.open(path) as part, pycolmap.DatabaseTransaction(self.whole):
            for number in (self.ids[name] for name in names):
                # A picture that COLMAP cannot read stays without.
                if part.exists_keypoints(number) and part.exists_descriptors(number):
                    _copy_features(part, self.whole, number)
        _remove(path)

    def take_matches(self, path: Path, pairs: Iterable[Sequence[str]]) -> None:
        """Copy the matches of pairs from a part to the whole; the part is removed."""
        import pycolmap

        with pycolmap.Database.open(path) as part, pycolmap.DatabaseTransaction(self.whole):
            for pair in ((self.ids[first], self.ids[second]) for first, second in pairs):
                if self.whole.exists_matches(*pair):
                    self.whole.delete_matches(*pair)
                if self.whole.exists_two_view_geometry(*pair):
                    self.whole.delete_two_view_geometry(*pair)
                self.whole.write_matches(*pair, part.read_matches(*pair))
                self.whole.write_two_view_geometry(*pair, part.read_two_view_geometry(*pair))
        _remove(path)


@contextmanager
def parts_of(database: Path, folder: Path) -> Iterator[Parts]:
    """The parts of a database, whose folder is there only meanwhile.

    Args:
        database: opened meanwhile.
        folder: to make; what an earlier run left in it is removed.
    """
    import pycolmap

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with pycolmap.Database.open(database) as whole:
            yield Parts(whole, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_features(source: pycolmap.Database, target: pycolmap.Database, number: int) -> None:
    write = target.update_keypoints if target.exists_keypoints(number) else target.write_keypoints
    write(number, source.read_keypoints(number))
    if not target.exists_descriptors(number):
        target.write_descriptors(number, source.read_descriptors(number))


def _remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.stem}.*"):
        file.unlink(missing_ok=True)
