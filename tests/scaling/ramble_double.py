# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Stands in for Ramble: reads an application definition and analyses outputs as `ramble workspace analyze` does.

The directives take the keywords that Ramble 0.5 and those after it share; another one is a TypeError, as there.
"""

import re
import sys
import types


class Application:
    """What the directives of a definition said."""

    def __init__(self, path):
        self.executables, self.workloads, self.variables = {}, {}, {}
        self.merits, self.criteria = {}, {}
        kit = types.ModuleType("ramble.appkit")
        kit.ExecutableApplication = object
        kit.tags = lambda *names: None
        for directive in ("executable", "workload", "workload_variable", "figure_of_merit", "success_criteria"):
            setattr(kit, directive, getattr(self, directive))
        kept = {name: sys.modules.get(name) for name in ("ramble", "ramble.appkit")}
        sys.modules.update({"ramble": types.ModuleType("ramble"), "ramble.appkit": kit})
        try:
            exec(compile(path.read_text(), str(path), "exec"), {"__name__": "application"})
        finally:
            for name, module in kept.items():
                sys.modules.pop(name) if module is None else sys.modules.update({name: module})

    def executable(self, name, template, use_mpi=False, variables=None, redirect="{log_file}", output_capture=None,
                   run_in_background=False):
        self.executables[name] = template

    def workload(self, name, executables=None, executable=None, input=None, inputs=None, tags=None):
        self.workloads[name] = executables or [executable]

    def workload_variable(self, name, default, description, values=None, workload=None, workloads=None,
                          expandable=True):
        for owner in workloads or [workload]:
            self.variables.setdefault(owner, {})[name] = default

    def figure_of_merit(self, name, fom_regex, group_name, log_file="{log_file}", units="", contexts=None):
        assert log_file == "{log_file}"
        self.merits[name] = (fom_regex, group_name)

    def success_criteria(self, name, mode, match=None, file="{log_file}", fom_name=None, fom_context="null",
                         formula=None, anti_match=None):
        assert (mode, file, anti_match) == ("string", "{log_file}", None)
        self.criteria[name] = match

    def command(self, workload, **given):
        [name] = self.workloads[workload]
        return self.expanded(self.executables[name], workload, **given).split()

    def expanded(self, text, workload, **given):
        """{name} becomes its value, and what no variable is called by loses its braces, as {16} does."""
        values = {**self.variables[workload], **given}
        while "{" in text:
            text = re.sub(r"{([^{}]*)}", lambda found: values.get(found[1], found[1]), text)
        return text

    def analysed(self, workload, output):
        """Whether an experiment with this output counts as a success, and its figures of merit."""
        lines = output.splitlines(keepends=True)
        seen = lambda pattern: [found for line in lines if (found := re.match(self.expanded(pattern, workload), line))]
        figures = {name: found[-1].group(group) for name, (pattern, group) in self.merits.items()
                   if (found := seen(pattern))}
        return bool(figures) and all(seen(pattern) for pattern in self.criteria.values()), figures
