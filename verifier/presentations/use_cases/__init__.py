"""What is done with presentations, one module for each who does it.

* ``requests``: a relying party or a page of ours asks
* ``dc_api_requests``: what it asks over the browser's Digital Credentials API
* ``protocol``: a wallet fetches and answers
* ``dc_api_answers``: a page brings what the browser's API returned
* ``records``: what a relying party can show years later is noted, sealed and given out
* ``results``: a relying party or a page of ours reads, and time passes
* ``access_keys``: which key of a relying party signs for all of these
"""
