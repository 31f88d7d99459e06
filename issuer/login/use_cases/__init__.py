"""What is done at the login. A method of login needs only what is named here."""

from issuer.login.use_cases.session import check_method, complete_login, find_login, methods_for, remember

__all__ = ["check_method", "complete_login", "find_login", "methods_for", "remember"]
