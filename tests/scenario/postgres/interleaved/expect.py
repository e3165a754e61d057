CLIENTS = 6


def write(cursor, number, step):
    """Own accounts, so that nobody waits; entries of all in one sequence."""
    cursor.execute("UPDATE account SET balance = balance + %s, by_whom = %s WHERE id %% %s = %s", (step, f"client {number}", CLIENTS, number))
    cursor.execute("INSERT INTO entry (account_id, amount, note) SELECT id, %s, 'it''s \\ %s' FROM account WHERE id %% %s = %s",
                   (step, number, CLIENTS, number))


def before(case):
    """The first to begin is the last to commit, one is given up, one begins between another's statements; then the rows change hands."""
    clients = [case.source.connect() for _ in range(CLIENTS)]
    cursors = [client.cursor() for client in clients]
    for step in range(1, 4):
        for number, cursor in enumerate(cursors):
            write(cursor, number, step)
        case.source.execute("INSERT INTO entry (account_id, amount, note) VALUES (1, 0, 'between')")
    for number, client in reversed(list(enumerate(clients))):
        if number == 2:
            client.rollback()
        else:
            client.commit()
    for number, cursor in enumerate(cursors):   # the rows of its neighbour, committed at once
        write(cursor, (number + 1) % CLIENTS, 10)
        clients[number].commit()
    cursors[0].execute("UPDATE account SET balance = -1 WHERE id = 1")
    cursors[1].execute("UPDATE account SET balance = -2 WHERE id = 2")
    cursors[2].execute("DELETE FROM entry WHERE note = 'between'")
    case.source.execute("INSERT INTO account VALUES (200, 1, 'x')")
    clients[2].commit()
    case.source.execute("UPDATE account SET id = 201 WHERE id = 200")
    cursors[0].execute("INSERT INTO entry (account_id, amount) VALUES (201, 1)")
    clients[0].commit()
    clients[1].rollback()
    for client in clients:
        client.close()
