"""Which cases may be visited on a day, by whom, and if not, why and from when?"""

from server.api.transport import Blueprint

blueprint = Blueprint("visitability", __name__, description="Which cases may be visited")
