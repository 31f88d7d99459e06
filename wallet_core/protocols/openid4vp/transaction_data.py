"""Transaction data (OpenID4VP 1.0 section 8.4): not supported yet, which a wallet must say rather than ignore."""

from collections.abc import Mapping

from wallet_core.errors import InvalidTransactionData
from wallet_core.types import Json


def refuse_transaction_data(members: Mapping[str, Json]) -> None:
    """Refuse a request that carries ``transaction_data``.

    Raises:
        InvalidTransactionData: it does. 8.4: a Wallet without support "MUST return an error upon receiving a request
            that includes it"; an empty or malformed value is no exception.
    """
    # vp-8.4-transaction-data
    if "transaction_data" in members:
        raise InvalidTransactionData("transaction_data is not supported", clause="OpenID4VP 8.4")
