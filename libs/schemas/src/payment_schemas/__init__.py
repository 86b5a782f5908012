"""Events, money, ids and the rules that two services must agree on."""
