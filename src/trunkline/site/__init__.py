"""What a company's website uses: the script of its pages, calls of visitors, and what reports keep of their visits.

========================= ==========================================================================================
``application``           the routes, and what each request passes: the website, the origin, limits, errors
``rules``                 which origins may ask, what the address of a page says, tokens of visits (pure)
``bodies``                the bodies of requests (pure)
``sites``                 the website of a key, and the credential of its browsers
``visits``                visits and visitors
``visit_limits``          how many pages and visits an address and a website may make known
``requests``              requests for calls: their limits, and callbacks at the agreed time
``scripts``               the scripts of ``static``, under addresses with their digests
========================= ==========================================================================================

No request uses a session or a cookie of the console: cookies are neither read nor set.
"""
