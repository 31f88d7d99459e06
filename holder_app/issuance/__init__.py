"""See an offer, accept it, keep the card (OpenID4VCI, the wallet's side)."""
