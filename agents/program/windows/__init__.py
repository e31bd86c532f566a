"""The agent on Windows (64 bit): sessions by the WTS API, a service, a companion in each session for its idle time.

`structures` and `api` are the border to Windows; nothing else knows ctypes. `decisions`, `control`, `smbios` and
`words` are pure and are tested on any system. The docstrings name the functions of Windows that stand behind.
"""
