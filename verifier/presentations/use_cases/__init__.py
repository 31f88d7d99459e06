"""What is done with presentations, one module for each who does it.

* ``requests``: a relying party or a page of ours asks
* ``protocol``: a wallet fetches and answers
* ``results``: a relying party or a page of ours reads, and time passes
"""
