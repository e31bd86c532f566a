"""An Active Directory look-alike for the demo and for tests, never for production.

What it imitates is told where it is done. It reads only; it has no schema, no access lists and no Kerberos.
"""
