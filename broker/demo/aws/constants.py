"""The demo account's fixed values. They are no secrets: nothing outside the demo knows them."""

ACCOUNT = "123456789012"
REGION = "us-east-1"

ACCESS_KEY = "AKIADEMOUSHER0000001"
SECRET_KEY = "demo/Usher/secret/access/key/not/for/AWS"  # 40 characters, as AWS's are
KEYS = {ACCESS_KEY: SECRET_KEY}
USER = "usher-demo"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/UsherBroker"
EXTERNAL_ID = "usher-demo"

CORP_DIRECTORY = "d-9067aaaaaa"  # corp.example.test: the one that the demo configures
LAB_DIRECTORY = "d-9067bbbbbb"  # lab.example.test: left for the walk

CORE_STANDARD = "wsb-core00std1"
CORE_PERFORMANCE = "wsb-core00prf1"
CORE_GRAPHICS = "wsb-core00gfx1"
ORDINARY_CUSTOM = "wsb-office0001"
STANDBY_CUSTOM = "wsb-standby001"
BROKEN_CUSTOM = "wsb-broken0001"

UNDEFINED = "[UNDEFINED]"  # CreateWorkspaces' reserved user name of user-decoupled WorkSpaces
