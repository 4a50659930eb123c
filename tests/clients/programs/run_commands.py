"""Run commands of a client's command line, each as a process would, in one process.

Arguments: `openstack` or `glance`, and a file with a list of commands, each a list of words. Prints
a list of `[status, standard output, standard error]`.
"""

import contextlib
import io
import json
import sys


def run(shell, words):
    out, err = io.StringIO(), io.StringIO()
    out.buffer = io.BytesIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = shell(words)
        except SystemExit as exit_:
            status = exit_.code
    return [status or 0, out.getvalue() + out.buffer.getvalue().decode(), err.getvalue()]


def main():
    name, path = sys.argv[1:]
    if name == "openstack":
        from openstackclient.shell import main as shell  # noqa: PLC0415
    else:
        from glanceclient.shell import OpenStackImagesShell  # noqa: PLC0415

        def shell(words):
            return OpenStackImagesShell().main(words)

    with open(path) as file:
        commands = json.load(file)
    print(json.dumps([run(shell, words) for words in commands]))


main()
