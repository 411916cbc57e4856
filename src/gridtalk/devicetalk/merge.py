"""What several chosen libraries bring together. Pure.

Source: ``spec/devicetalk.md``, sections 5 and 7. Libraries are given in the order of choice; the
later chosen is the larger.
"""

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
    for row in libraries:
        if row in known:
            continue
        if row.is_device_library:
            merging.device_library_add(row, blocks)
        elif all(holder.find(row.global_variables) is None for holder in holders):
            merging.library_add(row)
    return merging.result()


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
        size = len(lines)
        for start in range(len(self.lines) - size + 1):
            if self.lines[start : start + size] == lines:
                return range(start, start + size)
        return None

    def find(self, block: GlobalVariables) -> range | None:
        """Where a library's block stands: line for line, else by its read-only lines in order.

        Of lines before the first and after the last of these it is assumed that there are as many
        as the library has.
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
        start = max(places[0] - awaited[0], 0, *(n + 1 for n in others if n < places[0]))
        stop = places[-1] + len(lines) - awaited[-1]
        return range(start, min(stop, len(self.lines), *(n for n in others if n > places[-1])))

    def claim(self, span: range) -> None:
        """Those lines are a library's: no other library's read-only lines are looked for there."""
        self.free -= set(span)

    def cut(self, span: range) -> "_Block":
        """The block without those lines."""
        kept = [number for number in range(len(self.lines)) if number not in span]
        new = {old: number for number, old in enumerate(kept)}
        return _Block(
            [self.lines[number] for number in kept],
            {new[number] for number in self.readonly if number in new},
            {new[number] for number in self.free if number in new},
        )

    def readonly_texts(self, span: range | None = None) -> set[str]:
        """The read-only lines, of all or of a part."""
        return {self.lines[n] for n in self.readonly if span is None or n in span}


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
        for name in library.depends_on:
            span = rest.find(blocks[name]) if name in blocks else None
            if span is None:
                continue
            there = name in self.names or self._has(name, blocks[name])
            # What the device library wants read-only is never left out, or saving would be refused.
            if there and rest.readonly_texts(span) <= self._readonly_texts():
                rest = rest.cut(span)
            else:
                rest.claim(span)
                self.names.add(name)
        if not any(line.strip() for line in rest.lines):
            return
        for block in (self.present, *self.new):
            if (span := block.verbatim(rest.lines)) is not None:
                block.readonly |= {span.start + number for number in rest.readonly}
                return
        self.new.append(rest)

    def _readonly_texts(self) -> set[str]:
        return set().union(*(block.readonly_texts() for block in (self.present, *self.new)))

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
