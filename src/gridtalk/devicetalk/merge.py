"""What several chosen libraries bring together. Pure.

Source: ``spec/devicetalk.md``, sections 5 and 7. Libraries are given in the order of choice; the
later chosen is the larger.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gridtalk.devicetalk.tree import GlobalVariables, InvalidTree, Library, Problem, Tree


def globals_merge(
    present: GlobalVariables,
    libraries: Sequence[Library],
    *,
    brought: Sequence[Library] = (),
    known: Sequence[Library] = (),
) -> GlobalVariables:
    """Add the libraries' global variables, one block each, in the order of choice.

    ``brought`` are libraries that chosen device libraries depend on; ``depends_on`` of a device
    library names those that its variables were made with. ``known`` are the libraries that
    ``present`` was saved with.

    Blocks with read-only lines come before the others, and before what the user wrote. Nothing is
    repeated (C++ would not compile): the user may edit all but the read-only lines, so that a block
    is there already where

    * its library is known: then what the user made of it counts, whatever that is;
    * a device library brings it: then as the maker of that one left it;
    * it stands there line for line, or with its read-only lines in their order.

    (Blocks, because to drop single repeated lines breaks C++ too: its second ``}`` would vanish.)
    """
    merging = _Merging(_Block.of(present))
    blocks = {
        row.name: row.global_variables
        for row in (*known, *brought, *libraries)
        if not row.is_device_library and row.global_variables.text
    }
    for row in known:
        merging.names.add(row.name)
        if (span := merging.present.find(row.global_variables)) is not None:
            merging.present.claim(span)
    device_libraries = [row for row in libraries if row.is_device_library and row not in known]
    made_with = {name for row in device_libraries for name in row.depends_on}
    holders = [_Block.of(row.global_variables) for row in device_libraries]
    for row in brought:
        if row.name not in made_with:
            merging.library_add(row)
    held = []
    for row in libraries:
        if row in known:
            continue
        if row.is_device_library:
            merging.device_library_add(row, blocks)
        elif any(holder.find(row.global_variables) is not None for holder in holders):
            held.append(row)
        else:
            merging.library_add(row)
    for row in held:  # found in what the device libraries brought, as a rule
        merging.library_add(row)
    return merging.result()


#: The most lines of a user's own that are looked over between two lines of a library's block.
_BETWEEN = 20


def _sets(line: str) -> str:
    """What a line sets, e.g. ``static Meter meter`` of ``static Meter meter(1000);``."""
    name, *value = re.split(r"[=({]", line, maxsplit=1)
    return name.strip() if value else ""


@dataclass
class _Block:
    """Lines, which of them are read-only, and which of these no library accounts for (yet)."""

    lines: list[str]
    readonly: set[int]
    free: set[int]

    @classmethod
    def of(cls, block: GlobalVariables) -> "_Block":
        lines = block.text.split("\n") if block.text else []
        return cls(lines, set(block.readonly_lines), set(block.readonly_lines))

    def verbatim(self, lines: Sequence[str]) -> range | None:
        """Where the lines stand, whole and in one piece."""
        mine, theirs = ("\n".join(["", *given, ""]) for given in (self.lines, lines))
        at = mine.find(theirs)
        start = mine.count("\n", 0, at)
        return range(start, start + len(lines)) if at >= 0 else None

    def find(self, block: GlobalVariables) -> range | None:
        """Where a library's block stands: line for line, else by its read-only lines in order.

        To these belong the library's other lines beside them, also where they were edited.
        """
        if not block.text:
            return None
        lines = block.text.split("\n")
        if (span := self.verbatim(lines)) is not None:
            return span
        free = iter(sorted(self.free))
        awaited = sorted(block.readonly_lines)
        at = [next((n for n in free if self.lines[n] == lines[number]), None) for number in awaited]
        places = [number for number in at if number is not None]
        if not awaited or len(places) < len(awaited):
            return None
        others = self.readonly - set(places)
        first = self._reach(places[0], reversed(lines[: awaited[0]]), -1, others)
        last = self._reach(places[-1], lines[awaited[-1] + 1 :], 1, others)
        return range(first, last + 1)

    def _reach(self, place: int, lines: Iterable[str], step: int, others: set[int]) -> int:
        """How far a library's lines go from that place, before the ``others``' read-only ones."""
        for line in lines:
            for number in range(place + step, place + step * (_BETWEEN + 2), step):
                if not 0 <= number < len(self.lines) or number in others:
                    break
                there = self.lines[number]
                if there == line or (_sets(line) and _sets(there) == _sets(line)):
                    place = number
                    break
        return place

    def claim(self, span: range) -> None:
        """Those lines are a library's: no other library's read-only lines are looked for there."""
        self.free -= set(span)

    def is_claimed(self, span: range) -> bool:
        """Whether another library's read-only lines are among those."""
        return not (self.readonly - self.free).isdisjoint(span)

    def cut(self, span: range) -> "_Block":
        """The block without those lines."""
        kept = [number for number in range(len(self.lines)) if number not in span]
        new = {old: number for number, old in enumerate(kept)}
        return _Block(
            [self.lines[number] for number in kept],
            {new[number] for number in self.readonly if number in new},
            {new[number] for number in self.free if number in new},
        )

    def readonly_texts(self, span: range | None = None) -> Counter[str]:
        """The read-only lines and how often each stands there, of all or of a part."""
        return Counter(self.lines[n] for n in self.readonly if span is None or n in span)


@dataclass
class _Merging:
    """What is there while blocks are added; ``names`` of the libraries whose block is there."""

    present: _Block
    new: list[_Block] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def library_add(self, library: Library) -> None:
        """Add a library's block, unless it is there."""
        block = library.global_variables
        if not block.text or library.name in self.names or self._has(library.name, block):
            return
        self.names.add(library.name)
        added = _Block.of(block)
        added.claim(range(len(added.lines)))
        self.new.append(added)

    def _has(self, name: str, block: GlobalVariables) -> bool:
        """Whether a library's block is there; what is found is that library's from now on."""
        for there in (self.present, *self.new):
            if (span := there.find(block)) is None:
                continue
            if there.lines[span.start : span.stop] == block.text.split("\n"):
                there.readonly |= {span.start + number for number in block.readonly_lines}
            there.claim(span)
            self.names.add(name)
            return True
        return False

    def device_library_add(self, library: Library, blocks: dict[str, GlobalVariables]) -> None:
        """Add a device library's variables without the libraries' blocks that are there."""
        rest = _Block.of(library.global_variables)
        left_out: Counter[str] = Counter()
        # A small block may stand within a large one, which is looked for first.
        made_with = [name for name in library.depends_on if name in blocks]
        for name in sorted(made_with, key=lambda name: -len(blocks[name].text)):
            span = rest.find(blocks[name])
            if span is None or rest.is_claimed(span):
                continue
            there = name in self.names or self._has(name, blocks[name])
            # What the device library wants read-only is never left out, or saving would be refused.
            readonly = left_out + rest.readonly_texts(span)
            if there and readonly <= self._readonly_texts():
                rest, left_out = rest.cut(span), readonly
            else:
                rest.claim(span)
                self.names.add(name)
        if any(line.strip() for line in rest.lines) and not self._has_all(rest, left_out):
            self.new.append(rest)

    def _has_all(self, rest: _Block, left_out: Counter[str]) -> bool:
        """Whether those lines are there, and as read-only what is to be, the lines left out too."""
        for block in (self.present, *self.new):
            span = block.verbatim(rest.lines)
            if span is not None:
                block.readonly |= {span.start + number for number in rest.readonly}
                return left_out + rest.readonly_texts() <= self._readonly_texts()
        return False

    def _readonly_texts(self) -> Counter[str]:
        return sum((row.readonly_texts() for row in (self.present, *self.new)), Counter[str]())

    def result(self) -> GlobalVariables:
        """All blocks in their order."""
        first = [block for block in self.new if block.readonly]
        rest = [block for block in self.new if not block.readonly]
        lines: list[str] = []
        readonly: list[int] = []
        # What is there keeps its place behind the read-only lines that begin it, if any.
        for block in (*first, self.present, *rest):
            readonly += [len(lines) + number for number in sorted(block.readonly)]
            lines += block.lines
        return GlobalVariables("\n".join(lines), tuple(readonly))


def files_merge(libraries: Iterable[Library]) -> Tree:
    """The files of all libraries, by their paths under ``lib.root``.

    Raises :class:`InvalidTree` where two libraries hold the same path with another content.
    """
    files: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    problems = []
    for library in libraries:
        for path, content in library.files.items():
            if files.get(path, content) != content:
                cause = (
                    f"the libraries {owners[path]!r} and {library.name!r} both bring it, and differ"
                )
                problems.append(Problem(path, cause))
            files[path] = content
            owners[path] = library.name
    if problems:
        raise InvalidTree("The libraries do not fit together:", tuple(problems))
    return files
