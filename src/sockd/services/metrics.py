"""Tell Prometheus the figures of this daemon, over HTTP.

`GET /metrics` is answered with every figure that the daemon has, in the format of OpenMetrics 1.0
where the client accepts it, else in Prometheus's older one; HEAD with the same without a body. They
are a second old at most. Nothing else is there, and nothing can be changed. No series has an
address of a client. Rules, limits and TLS are those of any service: whom `allow` does not name
reads nothing. It does not run by default: a table `[service.metrics]` with `listen` starts it, or
`--set 'service.metrics.listen=["tcp:9470:interface=127.0.0.1"]'`.

    $ sock http http://127.0.0.1:9470/metrics
    # HELP sockd_build_info What runs: 1, with the versions as labels.
    ...
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockd.formats.http import Request, Response
from sockd.net.context import Context
from sockd.net.http import Http
from sockd.service import Exchange, Kind, NoOptions

PATH = "/metrics"
"""Where Prometheus looks by default."""

NOT_HERE = Response(404, b"Not Found: the figures are at /metrics\n")


class MetricsStream(Http):
    """A connection of who reads figures."""

    context: Context[NoOptions, None]

    def respond(self, request: Request) -> Response | Deferred[Response]:
        if request.path != PATH:
            return NOT_HERE
        made = self.context.world.metrics(request.fields.get("accept", ""))
        return made.addCallback(lambda text: Response(200, text[1], text[0]))


kind = Kind(
    name="metrics",
    doc=__doc__,
    stream=MetricsStream,
    ends=["max_head"],
    tries={
        "tcp": "sock http http://{address}/metrics",
        "tls": "sock http --insecure https://{address}/metrics",
        "unix": "sock http --unix {path} http://localhost/metrics",
    },
    wire={
        "stream": Exchange(
            asks="The client connects and sends requests of HTTP/1.1 (RFC 9112), GET or HEAD.",
            answers="A response each, in order; that of /metrics has the figures, one a line.",
            ends="The client closes, or says 'Connection: close' and the service does.",
        )
    },
)
