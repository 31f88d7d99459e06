"""See who asks for what, consent or decline (OpenID4VP, the wallet's side)."""
