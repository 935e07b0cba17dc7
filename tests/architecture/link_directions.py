# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""The libraries link along the arrows between rooms, and to every room whose headers they include."""

import re

import tree


def links_of(folder):
    """The rooms that a folder's CMakeLists.txt names in LINKS or PRIVATE_LINKS of its library."""
    text = re.sub(r"#.*", "", (tree.ROOT / folder / "CMakeLists.txt").read_text())
    calls = re.findall(r"(?:tessera_room|tessera_backend|target_link_libraries)\s*\(([^)]*)\)", text)
    names = {name for call in calls for name in re.findall(r"\btessera(?:::|_)(\w+)", call)}
    return names & set(tree.ARROWS)


def main():
    links, folders = {}, {}
    for folder in [*(tree.ROOT / "src").iterdir(), *(tree.ROOT / "backends").iterdir()]:
        if (folder / "CMakeLists.txt").exists():
            room = folder.name if folder.parent.name == "src" else f"backends/{folder.name}"
            folders[room] = folder
            links[room] = links_of(folder)
            if folder.parent.name == "backends":
                # tessera_backend() links to the room of its kind.
                links[room] |= set(tree.ARROWS.get(room, []))

    def reached(room):
        found, queue = set(), [room]
        while queue:
            other = queue.pop()
            if other not in found:
                found.add(other)
                queue += links.get(other, tree.ARROWS.get(other, []))
        return found

    problems = []
    for room, direct in links.items():
        if room not in tree.ARROWS:
            problems.append(f"room '{room}' has no arrows; add it to tests/architecture/tree.py")
            continue
        place = f"{tree.place(folders[room])}/CMakeLists.txt"
        for other in sorted(direct - tree.allowed(room)):
            problems.append(f"{place}: {room} may not link to {other}")
        included = {name.split("/")[1]
                    for path in tree.files("include", "src", "backends") if tree.room_of(path) == room
                    for _, name in tree.includes(path) if name.startswith("tessera/") and name.count("/") > 1}
        for other in sorted(included & set(tree.ARROWS) - reached(room)):
            problems.append(f"{place}: {room} includes {other} and does not link to it")
    tree.report("Link directions", problems, len(links))


main()
