"""Local passwords at rest."""

import threading

from authservers import hashers
from broker.settings import PASSWORD_HASHERS


def test_local_passwords_are_kept_by_argon2_with_the_recommended_cost() -> None:
    assert PASSWORD_HASHERS == ["authservers.hashers.Argon2"]
    hasher = hashers.Argon2()
    encoded = hasher.encode("correct-Horse9", hasher.salt())
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in encoded
    assert hasher.verify("correct-Horse9", encoded)
    assert not hasher.verify("correct-horse9", encoded)


def test_a_storm_of_sign_ins_hashes_two_at_a_time() -> None:
    hasher = hashers.Argon2()
    hashers.TWO_AT_A_TIME.acquire()
    hashers.TWO_AT_A_TIME.acquire()
    third = threading.Thread(target=hasher.encode, args=("correct-Horse9", hasher.salt()))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    hashers.TWO_AT_A_TIME.release()
    hashers.TWO_AT_A_TIME.release()
    third.join(10)
    assert not third.is_alive()
