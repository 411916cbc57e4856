"""What keeps a device going: wait for the server, and outlive a function that fails."""

import functools
import sys
import time
import traceback
import urllib.error
import urllib.request

from iottalkpy.dan import NoData

FIRST_PAUSE_S = 1
LONGEST_PAUSE_S = 30


def server_wait(url):
    """Return once the server at that address gives any HTTP answer; say what is awaited."""
    if not url:
        sys.exit("No server is set: set it in the workshop, or give IOTTALK_URL.")
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except urllib.error.HTTPError:
            return  # an answer, if not to this question
        except ValueError as error:
            sys.exit(f"The server's address {url!r} cannot be used: {error}")
        except OSError as error:
            print(f"Waiting {pause_s} s for the server {url}: {error}", flush=True)
            try:
                time.sleep(pause_s)
            except KeyboardInterrupt:
                sys.exit("interrupted")
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            return


def guarded(function):
    """The function of an IDF, sending nothing where it fails: iottalk-py would not call it again."""

    @functools.wraps(function)
    def call():
        try:
            return function()
        except Exception:
            traceback.print_exc()
            return NoData

    return call
