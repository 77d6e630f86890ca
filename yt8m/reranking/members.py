"""Several models' stores of scores of the same segments, read side by side."""

from yt8m.ensembles.fused import FusedStores
from yt8m.ensembles.members import MemberStores
from yt8m.folders import short_names


class Members:
    """The models whose scores are ranked anew, one or more; the first one's store says which rows there are, in which order.

    Args:
        folders: stores of segments, one a member.
        video_folders: stores of their videos, one a member; (): none.
        label_ids: the classes that are wanted; None: all of the first store.
        flags: what messages call the two.

    Attributes:
        stores: FusedStores of each member.
        first: the first of them.
        names: short names of the members.
        label_ids, shards: as in FusedStores.

    Raises:
        UserError: as FusedStores; or members of other shards, or of segments of another length.
    """

    def __init__(self, folders, video_folders=(), label_ids=None, flags=("scores", "video_scores")):
        self.stores, self.names = [], short_names(folders)
        for number, folder in enumerate(folders):
            videos = video_folders[number] if video_folders else ""
            self.stores.append(FusedStores(folder, videos, self.stores[0].label_ids if self.stores else label_ids, flags))
        self.first = self.stores[0]
        self.label_ids, self.shards = self.first.label_ids, self.first.shards
        self._beside = MemberStores(folders, self.label_ids) if len(folders) > 1 else None
        self._open = None, ()

    def of(self, part):
        """The Parts that a Part of `first` is in each member.

        Raises:
            UserError: a member has other rows (names the first that differs).
        """
        if self._beside is None:
            return [part]
        if self._open[0] != part.shard:
            self._open = part.shard, self._beside.read(part.shard)[2]
        rows = slice(part.first_row, part.first_row + len(part.ids))
        return [part._replace(values=values[rows]) for values in self._open[1]]

    def logits(self, part, chosen):
        """Logits of each member, a list of float32 [n, c]; part, chosen: as in FusedStores.logits."""
        return [stores.logits(of_member, chosen) for stores, of_member in zip(self.stores, self.of(part))]
