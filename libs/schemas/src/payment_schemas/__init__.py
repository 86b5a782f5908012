"""Messages, money, ids and the rules that two services share."""
