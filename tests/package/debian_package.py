#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Looks at a Debian package of the programs: its fields, what it needs, what lies where, and whether the programs
start from the unpacked tree.

    debian_package.py DEB [unittest arguments]
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

DEB = pathlib.Path(sys.argv.pop(1)).resolve()
PROGRAMS = {"gpt_train", "gpt_ckpt", "hello_collectives"}


def output_of(*command, **keywords):
    return subprocess.run(command, check=True, capture_output=True, text=True, **keywords).stdout


class DebianPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tessera-deb-")
        cls.root = pathlib.Path(cls.folder.name)
        subprocess.run(["dpkg-deb", "--extract", DEB, cls.root], check=True)
        cls.fields = dict(re.findall(r"^([\w-]+): (.*)$", output_of("dpkg-deb", "--field", DEB), re.MULTILINE))
        cls.levels = sorted((cls.root / "usr/libexec/tessera").glob("*"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def programs(self):
        return [path for folder in (self.root / "usr/bin", *self.levels) for path in sorted(folder.iterdir())]

    def test_fields(self):
        self.assertEqual((self.fields["Package"], self.fields["Section"]), ("tessera", "science"))
        self.assertRegex(self.fields["Version"], r"^\d+\.\d+\.\d+$")
        self.assertRegex(self.fields["Maintainer"], r"^.+ <\S+@\S+>$")
        self.assertRegex(self.fields["Recommends"], r"^(openmpi-bin|mpich)$")
        self.assertIn(f"_{self.fields['Version']}_{self.fields['Architecture']}.deb", DEB.name)

    def test_depends_on_the_libraries_that_the_programs_load(self):
        depends = re.findall(r"([^\s,|]+)(?: \([^)]*\))?", self.fields["Depends"])
        for library in (r"libc6", r"libstdc\+\+6", r"libopenmpi3|libmpich12", r"libhdf5-.*", r"libtrilinos-kokkos-.*"):
            self.assertTrue(any(re.fullmatch(library, name) for name in depends), f"{library} in {depends}")
        self.assertFalse([name for name in depends if name.endswith("-dev")])

    def test_files_lie_where_debian_wants_them(self):
        files = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        self.assertEqual({name for name in files if name.startswith("usr/bin/")}, {f"usr/bin/{p}" for p in PROGRAMS})
        for name in ("usr/share/doc/tessera/copyright", "usr/share/doc/tessera/changelog.gz",
                     "usr/share/tessera/inputs/tiny.toml", "usr/share/tessera/slurm/gpt_train.sbatch",
                     "usr/share/tessera/bench/scaling/run.py",
                     f"usr/share/tessera/modulefiles/tessera/{self.fields['Version']}.lua"):
            self.assertIn(name, files)
        places = re.compile(r"usr/(bin|libexec/tessera|share/(tessera|doc/tessera))/")
        self.assertEqual([name for name in sorted(files) if not places.match(name)], [])
        for level in self.levels:
            self.assertEqual({path.name for path in level.iterdir()}, PROGRAMS)

    def test_programs_are_stripped_and_know_no_place_of_the_build(self):
        for program in self.programs():
            with self.subTest(program=program.name):
                self.assertNotRegex(output_of("readelf", "--dynamic", program), r"RPATH|RUNPATH")
                self.assertNotIn(".symtab", output_of("readelf", "--wide", "--sections", program))

    def test_programs_start_from_the_unpacked_tree(self):
        version = output_of(self.root / "usr/bin/gpt_train", "--version")
        for line in (f"gpt_train of Tessera {re.escape(self.fields['Version'])}", "instructions: .+", "kokkos: .+",
                     "mpi: .+", r"hdf5: \d.+", "matrix products: .+"):
            self.assertRegex(version, re.compile(f"^{line}$", re.MULTILINE))
        self.assertIn(self.fields["Version"], output_of(self.root / "usr/bin/gpt_ckpt", "--version"))
        self.assertIn("all_reduce", output_of(self.root / "usr/bin/hello_collectives", "loopback"))

    def test_job_scripts_find_the_mpi_of_the_programs(self):
        share = self.root / "usr/share/tessera"
        plugin = output_of("bash", "-c", 'source "$0"; mpi_plugin_of "$1"', share / "slurm/job.sh",
                           self.root / "usr/bin/gpt_train")
        self.assertEqual(plugin.strip(), {"openmpi-bin": "pmix", "mpich": "pmi2"}[self.fields["Recommends"]])

    def test_scaling_plans_are_measured_with_the_programs_of_the_package(self):
        scaling = self.root / "usr/share/tessera/bench/scaling"
        listed = output_of(sys.executable, "-B", scaling / "run.py", scaling / "plans/strong-small.toml", "--programs", self.root / "usr",
                           "--out", DEB.parent / "no-results", "--list")
        self.assertRegex(listed, r"(?m)^1\t1\t1\t0/\d+\t")

    def test_launchers_are_for_every_processor(self):
        if not self.levels:
            self.skipTest("a package of one level has no launchers")
        for program in PROGRAMS:
            code = output_of("objdump", "--disassemble", self.root / "usr/bin" / program)
            self.assertNotRegex(code, r"%[yz]mm|\bvz?eroupper|\b(fma|bmi)")
            self.assertGreater(code.count("\n"), 100)

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian_finds_no_error(self):
        result = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", DEB], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout)


unittest.main()
