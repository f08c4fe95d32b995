"""nginx as `proxy_pass` before the stand-in: the least that a proxy can cost here, with one worker and no log."""

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path

from bench import process

_CONFIGURATION = """
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  client_max_body_size 32m;
  # Bodies stay in memory: a temporary file a call would be a cost that no other subject has.
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream stand_in {{
    server 127.0.0.1:{upstream_port};
    keepalive 256;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 100000000;
    location / {{
      proxy_pass http://stand_in;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def program() -> str | None:
    """Where nginx is installed, also where it is not on the path of a plain user."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


@contextlib.contextmanager
def running(folder: Path, port: int, upstream_port: int) -> Generator[int]:
    """The pid of nginx (its worker is a child of it), listening on `port`.

    Raises:
        NotStarted: nginx is not installed or refuses to start.
    """
    found = program()
    if found is None:
        raise process.NotStarted("nginx is not installed")
    # As root the worker would become a user who may not enter the temporary folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(_CONFIGURATION.format(user=user, folder=folder, port=port, upstream_port=upstream_port))
    argv = [found, "-p", str(folder), "-c", str(path), "-e", "stderr"]
    with process.running(argv, folder / "nginx.log", port=port) as pid:
        yield pid
