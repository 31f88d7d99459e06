"""OpenID4VP: requests, Request Objects, answers, results."""
