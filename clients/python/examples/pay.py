"""Pay from the command line: python pay.py URL FROM TO AMOUNT TRANSACTION

The access token is in COUNTERSIGN_TOKEN; a gateway of the development profile needs none. The keys
of unfinished payments are in the folder attempts: after a crash, run the same command again.
"""

import os
import sys

from countersign_client import (
    Client,
    CodeRequired,
    CountersignError,
    Declined,
    FileAttempts,
    Undecided,
)


def ask(required: CodeRequired) -> str | None:
    if required.wrong_codes:
        print("This code is wrong.")
    return input(f"Code, within {required.expires_in} s (empty to stop): ").strip() or None


def pay(client: Client, source: str, payee: str, amount: str, transaction: str) -> int:
    result = client.confirm(
        transaction, amount=amount, from_account=source, to_account=payee, code=ask
    )
    if isinstance(result, CodeRequired):
        print("Not confirmed: no code.")
        return 3
    print("Confirmed, reference", result.reference)
    payment = client.wait_until_settled(transaction)
    print("Settled." if payment.settled else "Returned: the payee's bank refused it.")
    return 0


def main(url: str, *payment: str) -> int:
    token = os.environ.get("COUNTERSIGN_TOKEN")
    with Client(url, token, attempts=FileAttempts("attempts")) as client:
        try:
            return pay(client, *payment)
        except Declined as declined:
            print("Declined:", declined.reason)
        except Undecided as undecided:
            print("Not known yet, run the same command again:", undecided)
        except CountersignError as refused:
            print("Refused:", refused)
    return 1


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
