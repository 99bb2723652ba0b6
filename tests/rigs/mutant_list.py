"""The sabotages of property P24: small changes that lose, double or leak a letter, and the tests that must see each.

A text is replaced exactly once in its file; ``test_quick_mutants.py`` says so when the code has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``old`` becomes ``new`` in ``file`` (below src/lokole); at least one of ``tests`` (pytest arguments) must fail then."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    property: str


_BLOBS, _DATABASE = "tests/contracts/test_blob_store.py::Test", "tests/contracts/test_database.py::test_"
BLOBS = (
    "tests/rigs/test_quick_calls.py",
    _BLOBS + "Folder::test_content_is_on_the_disk_before_its_name_and_the_name_before_the_answer",
    _BLOBS + "Folder::test_a_full_disk_is_temporary_and_leaves_nothing",
    _BLOBS + "BlobStore::test_a_source_that_breaks_leaves_nothing[folder]",
)
DATABASE = (
    _DATABASE + "sqlite_is_in_wal_and_flushes_every_commit",
    _DATABASE + "a_database_out_of_reach_is_temporary_and_tells_nothing",
    _DATABASE + "a_locked_database_is_temporary",
    _DATABASE + "many_writers_lose_nothing_and_count_right[sqlite]",
    _DATABASE + "a_reader_sees_one_state_while_another_writes[sqlite]",
)
BOX = ("tests/unit/device",)
SYNC = ("tests/unit/device/test_run_sync.py",)
EXCHANGE = ("tests/api/test_exchange.py",)
JOBS = ("tests/unit/mailbox/test_jobs.py", "tests/unit/server/test_worker.py")
LETTERS = ("tests/unit/mailbox/test_letters.py", "tests/unit/mailbox/test_notes.py")
LISTS = ("tests/unit/mailbox/test_lists.py", "tests/unit/mailbox/test_entries.py")
PACKAGES = ("tests/unit/mailbox/test_packages.py", "tests/unit/server/test_offer.py")
PAGES = ("tests/unit/webmail/test_access.py", "tests/unit/webmail/test_pages.py")
RECEIVE = ("tests/unit/server/test_receive.py", "tests/unit/server/test_strangers.py")
SEND = ("tests/unit/server/test_send.py",)
UNPACK = ("tests/unit/server/test_unpack.py", "tests/unit/server/test_send.py")
STEPS = ("tests/rigs/test_quick_steps.py",)

MUTANTS = (
    # --- on the disk before anybody says so (P3, P6)
    Mutant(
        "a blob is not flushed",
        "adapters/blobs/folder.py",
        "                    file.flush()\n                    os.fsync(file.fileno())\n",
        "                    file.flush()\n",
        BLOBS,
        "P3",
    ),
    Mutant(
        "the folder of a new blob is not flushed",
        "adapters/blobs/folder.py",
        "                beside.unlink(missing_ok=True)\n            _flush_folder(path.parent)\n",
        "                beside.unlink(missing_ok=True)\n",
        BLOBS,
        "P3",
    ),
    Mutant(
        "a new folder is not flushed",
        "adapters/blobs/folder.py",
        "                one.mkdir(mode=0o700)\n            _flush_folder(one.parent)\n",
        "                one.mkdir(mode=0o700)\n",
        BLOBS,
        "P3",
    ),
    Mutant(
        "a blob that is there already is not flushed",
        "adapters/blobs/folder.py",
        "            with _writing():\n                _flush_folder(path.parent)\n            return False\n",
        "            return False\n",
        BLOBS,
        "P3",
    ),
    Mutant(
        "a blob is written in its place",
        "adapters/blobs/folder.py",
        'beside = path.parent / f"{_NEW}{secrets.token_hex(8)}"',
        "beside = path",
        BLOBS,
        "P3",
    ),
    Mutant(
        "the database does not flush its commits",
        "mailbox/database.py",
        'cursor.execute("PRAGMA synchronous=FULL")',
        'cursor.execute("PRAGMA synchronous=NORMAL")',
        DATABASE,
        "P3",
    ),
    Mutant(
        "the database keeps no write-ahead log",
        "mailbox/database.py",
        'cursor.execute("PRAGMA journal_mode=WAL")',
        'cursor.execute("PRAGMA journal_mode=MEMORY")',
        DATABASE,
        "P3",
    ),
    Mutant(
        "a writer begins as a reader",
        "mailbox/database.py",
        'driver.execute("BEGIN IMMEDIATE")',
        'driver.execute("BEGIN")',
        DATABASE,
        "P10",
    ),
    Mutant(
        "a full store is answered as if all were well",
        "adapters/blobs/folder.py",
        '        raise Temporary(f"the folder of blobs did not take it: {kind}") from error\n',
        "        del kind\n",
        (*BLOBS, "tests/unit/server/test_receive.py", "tests/unit/webmail/test_writing.py"),
        "P8",
    ),
    Mutant(
        "an error of the database is swallowed",
        "mailbox/database.py",
        '            raise Temporary(f"the database did not take it: {type(cause).__name__}") from error\n',
        "            del cause\n",
        DATABASE,
        "P8",
    ),
    # --- the order of promises (P1, P2, P4)
    Mutant(
        "a letter counts as gone before the server has it",
        "device/run_sync.py",
        "        try:\n            with blobs.open(package.blob) as content:\n                peer.upload(",
        "        _gone(database, tenant, package, clock())\n"
        "        try:\n            with blobs.open(package.blob) as content:\n                peer.upload(",
        SYNC,
        "P1",
    ),
    Mutant(
        "what comes down is acknowledged before it is taken in",
        "device/taking.py",
        '                letters=0,\n                state="held",\n',
        '                letters=0,\n                state="unpacked",\n',
        (*STEPS, *SYNC),
        "P2",
    ),
    Mutant(
        "the package is not compared with its name",
        "device/taking.py",
        "    if digest.hexdigest() != offered.ref:\n",
        "    if False:\n",
        SYNC,
        "P4",
    ),
    Mutant(
        "an acknowledgement names what is only held",
        "device/packing.py",
        'TAKEN = ("unpacked", "acknowledged", "withdrawn")\n',
        'TAKEN = ("held", "unpacked", "acknowledged", "withdrawn")\n',
        (*STEPS, *SYNC),
        "P2",
    ),
    Mutant(
        "a lost acknowledgement is not said again",
        "device/taking.py",
        '    if known is not None and known.state != "held" and not again:\n        return None\n',
        '    if known is not None and known.state != "held" and not again:\n'
        '        raise BadPackage("the package was here before")\n',
        SYNC,
        "P4",
    ),
    Mutant(
        "letters are packed before the package is noted",
        "server/offer.py",
        "        packages.mark_packed(tx, no, taken)\n",
        "        packages.mark_packed(tx, no, taken)\n        packages.acknowledge(tx, row.no, epoch, 'down', seq, [], ports.clock())\n",
        PACKAGES,
        "P1",
    ),
    Mutant(
        "two builders pack the same letters",
        "server/offer.py",
        '    return set(taken) <= set(packages.waiting_rows(tx, row.no, "down"))\n',
        "    return True\n",
        PACKAGES,
        "P10",
    ),
    Mutant(
        "an acknowledgement holds for every epoch",
        "mailbox/packages.py",
        "    return and_(package.c.tenant == tenant_no, package.c.epoch == epoch, package.c.direction == direction)\n",
        "    return and_(package.c.tenant == tenant_no, package.c.direction == direction)\n",
        PACKAGES,
        "P22",
    ),
    Mutant(
        "a package number is given away twice",
        "mailbox/packages.py",
        "        if known.sha256 != sha256:\n",
        "        if False:\n",
        ("tests/unit/mailbox/test_packages.py", "tests/api/test_exchange.py"),
        "P4",
    ),
    Mutant(
        "an upload is answered before its bytes are compared",
        "server/api/uploads.py",
        "        if self._digest.hexdigest() != self.sha256:\n",
        "        if False:\n",
        EXCHANGE,
        "P4",
    ),
    Mutant(
        "an uploaded package is held and nobody is told to read it",
        "server/exchange.py",
        '        jobs.enqueue(tx, "unpack", f"{row.no}:{no}", {"package": no}, tenant=row.no, now=now, again=known is not None)\n',
        "",
        (*EXCHANGE, *UNPACK),
        "P1",
    ),
    Mutant(
        "a package counts as read when its letters could not be stored",
        "server/unpack.py",
        "    except Temporary:\n        raise\n    except Exception as error:\n        reason =",
        "    except Exception as error:\n        reason =",
        (*UNPACK, *STEPS),
        "P1",
    ),
    Mutant(
        "a letter is sent before its files have come",
        "server/unpack.py",
        "    reading.new += 1\n",
        "    reading.new += 1\n    with ports.database.write() as tx:\n        _queue_sending(tx, row, no, now)\n",
        UNPACK,
        "P1",
    ),
    # --- once and not twice (P1, P6)
    Mutant(
        "the same post is taken again",
        "server/receive.py",
        '        if not remember(tx, row.no, "incoming", key, now):\n            continue\n',
        "",
        RECEIVE,
        "P6",
    ),
    Mutant(
        "one recipient's letter is every recipient's",
        "server/receive.py",
        '    for address in recipients:\n        key = hashlib.sha256(f"{digest}\\n{address.key}".encode("utf-8", "replace")).hexdigest()',
        '    for address in recipients:\n        key = hashlib.sha256(digest.encode("utf-8", "replace")).hexdigest()',
        RECEIVE,
        "P6",
    ),
    Mutant(
        "the headers decide who gets a letter",
        "server/receive.py",
        "    texts = arrival.recipients\n    if texts is None:\n        texts = tuple(contact",
        "    texts = None\n    if texts is None:\n        texts = tuple(contact",
        RECEIVE,
        "P6",
    ),
    Mutant(
        "a box's letter is stored at every reading",
        "mailbox/seen.py",
        '    if "print" in named:\n        return named["print"], False\n',
        '    if "print" in named:\n        return None, True\n',
        UNPACK,
        "P1",
    ),
    Mutant(
        "a letter written by pressing twice is two letters",
        "mailbox/upsert.py",
        ' ON CONFLICT DO NOTHING{tail}")',
        '{tail}")',
        ("tests/unit/mailbox/test_letters.py", "tests/unit/webmail/test_writing.py"),
        "P1",
    ),
    Mutant(
        "a letter sent already is sent again",
        "server/outgoing.py",
        "    standing = [one for one in deliveries(tx, row.no, stored.no) if one.state is DeliveryState.AT_SERVER]\n",
        "    standing = deliveries(tx, row.no, stored.no)\n",
        (*SEND, *STEPS),
        "P5",
    ),
    Mutant(
        "each attempt has a Message-ID of its own",
        "server/outgoing.py",
        "message_id=email.message_id or message_id_for(stored.id, row.domain)",
        'message_id=f"<{id(stored)}.{id(email)}@{row.domain}>"',
        SEND,
        "P5",
    ),
    Mutant(
        "a delivery state goes back",
        "mailbox/recipients.py",
        "    before = [known.value for known, order in _ORDER.items() if order < _ORDER[state]]\n",
        "    before = [known.value for known in _ORDER]\n",
        LETTERS,
        "P1",
    ),
    Mutant(
        "a permanent failure is told to nobody",
        "server/receipts.py",
        "            write_home(tx, row, letter.sender.address, letter, address, reason, now)\n",
        "            pass\n",
        SEND,
        "P5",
    ),
    Mutant(
        "a restored counter makes the same ids again",
        "mailbox/identity.py",
        "    epoch = _random_epoch(entropy)\n    tx.execute(update",
        "    epoch = tx.execute(_EPOCH).scalar_one()\n    tx.execute(update",
        (*LETTERS, "tests/unit/device/test_register.py"),
        "P22",
    ),
    # --- the work (P1, P10)
    Mutant(
        "a job is finished before its work",
        "server/running.py",
        "            if not kind.run(self._ports, job):\n",
        "            with self._ports.database.write() as tx:\n                rows.finish(tx, job)\n"
        "            if not kind.run(self._ports, job):\n",
        (*JOBS, *SEND),
        "P1",
    ),
    Mutant(
        "whoever lost the lease finishes all the same",
        "mailbox/jobs.py",
        "    if tx.execute(statement.values(**values)).rowcount != 1:\n        raise LeaseLost\n",
        "    tx.execute(statement.values(**values))\n",
        JOBS,
        "P10",
    ),
    Mutant(
        "the lease is not compared",
        "mailbox/jobs.py",
        "where(job.c.no == mine.no, job.c.lease_token == mine.lease_token)",
        "where(job.c.no == mine.no)",
        JOBS,
        "P10",
    ),
    Mutant(
        "a leased job is leased again",
        "mailbox/jobs.py",
        "    .where(_FREE)\n",
        "",
        JOBS,
        "P10",
    ),
    Mutant(
        "a job that failed for now is given up",
        "server/running.py",
        "        wait = retry_in(kind, job, error, self._ports.clock())\n",
        "        wait = None\n",
        (*JOBS, *SEND),
        "P5",
    ),
    Mutant(
        "a webhook says yes before the letter is durable",
        "server/api/intake.py",
        "            await run_in_threadpool(intake.take_form, ports, row, body, content_type)\n",
        "            try:\n"
        "                await run_in_threadpool(intake.take_form, ports, row, body, content_type)\n"
        "            except Exception:\n                pass\n",
        ("tests/api/test_webhook.py", *RECEIVE),
        "P6",
    ),
    Mutant(
        "SMTP says yes whatever the store says",
        "adapters/intake/smtp.py",
        "        except Temporary:\n            return _LATER\n        except (Refused",
        "        except Temporary:\n            return OK\n        except (Refused",
        ("tests/unit/adapters/test_smtp_intake.py",),
        "P6",
    ),
    Mutant(
        "what a filter takes for junk is refused",
        "server/edge.py",
        "        if opinion.advice is Advice.LATER:\n",
        "        if opinion.advice is Advice.JUNK:\n            return CIRCLE\n        if opinion.advice is Advice.LATER:\n",
        ("tests/unit/server/test_edge.py",),
        "P6",
    ),
    Mutant(
        "whoever is put off is refused for good",
        "server/edge.py",
        'AGAIN = Reply(451, "4.7.1", "come again in a few minutes")',
        'AGAIN = Reply(551, "5.7.1", "come again in a few minutes")',
        ("tests/unit/server/test_edge.py",),
        "P6",
    ),
    Mutant(
        "a long envelope names nobody",
        "server/form.py",
        '            most = _MAX_ENVELOPE if self._current == "envelope" else _MAX_SHORT_FIELD\n',
        "            most = _MAX_SHORT_FIELD\n",
        ("tests/unit/server/test_bad_input.py",),
        "P6",
    ),
    # --- who may (P11, P12, P16)
    Mutant(
        "every box may fetch every package",
        "mailbox/packages.py",
        "    query = select(package).where(package.c.tenant == tenant_no, package.c.sha256 == sha256)\n",
        "    query = select(package).where(package.c.sha256 == sha256)\n",
        (*PACKAGES, *EXCHANGE),
        "P11",
    ),
    Mutant(
        "a letter's number is enough to read it in another tenant",
        "mailbox/letters.py",
        '_PROVEN).where(\n    email.c.tenant == bindparam("tenant"), email.c.order_no == bindparam("email")\n)',
        '_PROVEN).where(email.c.order_no == bindparam("email"))',
        LETTERS,
        "P11",
    ),
    Mutant(
        "everybody at a box may read every letter of it",
        "mailbox/lists.py",
        '    entry.c.tenant == bindparam("tenant"),\n    entry.c.account == bindparam("account"),\n',
        '    entry.c.tenant == bindparam("tenant"),\n',
        (*LISTS, *PAGES),
        "P16",
    ),
    Mutant(
        "a signature is not verified",
        "sync/signing.py",
        "        VerifyKey(public_key).verify(message, signed.signature)\n",
        "        VerifyKey(public_key)\n",
        ("tests/unit/sync/test_signing.py", *EXCHANGE),
        "P11",
    ),
    Mutant(
        "a request may be played again",
        "mailbox/tenants.py",
        "        .where(credential.c.no == credential_no, credential.c.counter < counter)\n",
        "        .where(credential.c.no == credential_no)\n",
        ("tests/unit/mailbox/test_tenants.py", *EXCHANGE),
        "P11",
    ),
    Mutant(
        "a key that was taken back still opens",
        "server/exchange.py",
        "    if known.revoked or row.state != CLAIMED:\n",
        "    if False:\n",  # a key that was taken back leaves its row unclaimed: either half alone would do
        EXCHANGE,
        "P11",
    ),
    Mutant(
        "a box may write as another domain",
        "server/unpack.py",
        "    if sender.domain != row.domain:\n",
        "    if False:\n",
        UNPACK,
        "P12",
    ),
    Mutant(
        "a box may speak for the people of another",
        "mailbox/account_records.py",
        "    if spoken.domain != domain:\n",
        "    if False:\n",
        ("tests/unit/mailbox/test_accounts.py", *UNPACK),
        "P12",
    ),
    Mutant(
        "a sealed package need not be signed",
        "sync/container.py",
        "    if total < header_size + _SIGNATURE:\n",
        "    if False:\n",
        ("tests/unit/sync/test_container.py",),
        "P11",
    ),
    # --- what leaks and what runs (P15, P16, P18)
    Mutant(
        "blind copies are written into the letter",
        "server/unpack.py",
        "        bcc=(),\n        recipients=(),\n",
        "        cc=(*email.cc, *email.bcc),\n        bcc=(),\n        recipients=(),\n",
        UNPACK,
        "P12",
    ),
    Mutant(
        "everybody who has a letter sees its blind copies",
        "mailbox/lists.py",
        "    if row.written:\n",
        "    if True:\n",
        (*LETTERS, *LISTS, "tests/unit/webmail/test_writing.py"),
        "P16",
    ),
    Mutant(
        "markup is not cleaned",
        "mail/html.py",
        "_cleaner().clean(_shallow(html))",
        "_shallow(html)",
        ("tests/unit/mail/test_html.py",),
        "P15",
    ),
    Mutant(
        "a body is shown as it is stored",
        "webmail/views/letter.py",
        "    safe = rewrite_cids(make_safe(written[:most]), (pictures or {}).get)\n",
        "    safe = rewrite_cids(written[:most], (pictures or {}).get)\n",
        ("tests/unit/webmail/test_reading.py",),
        "P15",
    ),
    Mutant(
        "what comes to the box is not cleaned there",
        "device/importing.py",
        "body=make_safe(record.email.body))",
        "body=record.email.body)",
        SYNC,
        "P15",
    ),
    Mutant(
        "the pages have no policy",
        "webmail/headers.py",
        '    headers.setdefault("Content-Security-Policy", PAGE_POLICY)\n',
        "",
        PAGES,
        "P15",
    ),
    Mutant(
        "a letter's frame may run scripts",
        "webmail/views/letter.py",
        "        \"sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; \"\n",
        "        \"sandbox allow-scripts allow-popups; default-src 'none'; img-src data:; \"\n",
        ("tests/unit/webmail/test_reading.py",),
        "P15",
    ),
    Mutant(
        "a form needs no token",
        "webmail/app.py",
        "    csrf = CSRFProtect(app)\n",
        "    csrf = CSRFProtect()\n",
        PAGES,
        "P16",
    ),
    Mutant(
        "a form of another site is taken",
        "webmail/headers.py",
        "    return urlsplit(origin).netloc != asked.host\n",
        "    return False\n",
        PAGES,
        "P16",
    ),
    Mutant(
        "everybody is an administrator",
        "webmail/access.py",
        "    if request.blueprint in ADMIN_BLUEPRINTS and not person.is_admin:\n        abort(403)\n",
        "",
        PAGES,
        "P16",
    ),
    Mutant(
        "a new password leaves old sessions open",
        "mailbox/accounts.py",
        "    _change(tx, person, password_hash=hashed, must_change_password=must_change, **roaming)\n    end_all_sessions(tx, person)\n",
        "    _change(tx, person, password_hash=hashed, must_change_password=must_change, **roaming)\n",
        ("tests/unit/mailbox/test_accounts.py",),
        "P18",
    ),
    Mutant(
        "every password hash leaves the box",
        "mailbox/account_records.py",
        "            password_hash=row.password_hash if row.roaming else None,\n",
        "            password_hash=row.password_hash,\n",
        ("tests/unit/mailbox/test_accounts.py",),
        "P18",
    ),
    # --- merging and the clock (P9, P17)
    Mutant(
        "lists sort by the clock",
        "mailbox/lists.py",
        "    newest_first = query.order_by(entry.c.email.desc())",
        "    newest_first = query.order_by(email.c.received_at.desc())",
        LETTERS,
        "P9",
    ),
    Mutant(
        "a schedule of a wrong clock is kept",
        "device/schedule.py",
        "    if state.done_until <= now and",
        "    if True or",
        BOX,
        "P9",
    ),
    Mutant(
        "the later word of one end always wins",
        "mailbox/entries.py",
        '    if (lamport, origin) <= (known[f"{flag}_lamport"], known[f"{flag}_origin"]):\n        return False\n',
        "",
        LISTS,
        "P17",
    ),
    Mutant(
        "one person's flag is everybody's",
        "mailbox/entries.py",
        "update(entry).where(entry.c.account == account_no, entry.c.email == email_no)",
        "update(entry).where(entry.c.email == email_no)",
        LISTS,
        "P17",
    ),
    # --- one for each rig, which it must see by itself
    Mutant(
        "of two domains in one envelope the first gets the letter",
        "server/intake.py",
        "        for row, group in rows:\n            jobs.enqueue(\n",
        "        for row, group in rows[:1]:\n            jobs.enqueue(\n",
        ("tests/rigs/test_quick_intake.py",),
        "P6",
    ),
    Mutant(
        "a yes is said before the row of work is there",
        "server/api/intake.py",
        "            await run_in_threadpool(intake.take_form, ports, row, body, content_type)\n",
        "            import contextlib\n\n            with contextlib.suppress(Exception):\n"
        "                await run_in_threadpool(intake.take_form, ports, row, body, content_type)\n",
        ("tests/rigs/test_quick_intake.py", "tests/unit/server/test_receive.py"),
        "P6",
    ),
    Mutant(
        "two exchanges meet the server at once",
        "device/lock.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        ("tests/rigs/test_quick_parallel.py", "tests/unit/device/test_lock.py"),
        "P10",
    ),
    Mutant(
        "a file of somebody else's form may be sent along",
        "webmail/sheet.py",
        "    if owner_no != person.no:\n",
        "    if False:\n",
        ("tests/unit/webmail/test_others_things.py",),
        "P11",
    ),
    Mutant(
        "a domain is anybody's who may register one",
        "server/devices.py",
        "    if row.owner != caller.name and not caller.may_override:\n",
        "    if False:\n",
        ("tests/api/test_access_matrix.py",),
        "P11",
    ),
    Mutant(
        "whoever is revoked may go on acknowledging",
        "server/api/exchange.py",
        '    row = await authenticated(ports, request, body_sha256(body))\n    if request.headers.get("content-type", "")'
        '.partition(";")[0].strip().lower() != "application/json":\n        raise Refused("an acknowledgement is JSON"',
        "    from lokole.mailbox import tenants\n    from lokole.sync.signing import parse_authorization\n\n"
        "    with ports.database.read() as tx:\n"
        '        row = tenants.find_tenant(tx, device_id=parse_authorization(request.headers["authorization"]).device_id)\n'
        '    assert row is not None\n    if request.headers.get("content-type", "")'
        '.partition(";")[0].strip().lower() != "application/json":\n        raise Refused("an acknowledgement is JSON"',
        ("tests/api/test_access_matrix.py",),
        "P11",
    ),
    Mutant(
        "a domain that ends like the box's own is its own",
        "server/unpack.py",
        "    if sender.domain != row.domain:\n",
        "    if not sender.domain.endswith(row.domain):\n",
        ("tests/api/test_own_domain.py",),
        "P12",
    ),
    Mutant(
        "answers may be asked for anywhere",
        "server/unpack.py",
        "        reply_to=tuple(one for one in email.reply_to if _domain_of(one.address) == row.domain),\n",
        "        reply_to=email.reply_to,\n",
        ("tests/api/test_own_domain.py::test_no_field_of_a_letter_makes_it_anothers",),
        "P12",
    ),
    Mutant(
        "nobody notices that the server is an older copy of itself",
        "server/reconcile.py",
        '    if epoch != ensure_identity(tx, ports.entropy) or highest < packages.next_seq(tx, row.no, epoch, "down"):\n',
        "    if True:\n",
        ("tests/unit/server/test_reconcile.py",),
        "P22",
    ),
    Mutant(
        "another box that claims a place finds nothing that waits",
        "server/devices.py",
        "            reconcile.begin_anew(ports, tx, row)\n",
        "            pass\n",
        ("tests/rigs/test_quick_twins.py",),
        "P22",
    ),
    Mutant(
        "the server looks at what a letter names",
        "server/receive.py",
        "        _take_in(ports, row, job, arrival, digest)\n    except LokoleError:\n",
        '        import contextlib\n        import urllib.request\n\n        for url in re.findall(rb"http://[0-9.:]+", arrival.raw):\n'
        "            with contextlib.suppress(Exception):\n                urllib.request.urlopen(url.decode(), timeout=1)\n"
        "        _take_in(ports, row, job, arrival, digest)\n    except LokoleError:\n",
        ("tests/rigs/test_nothing_is_fetched.py",),
        "P20",
    ),
    # --- what a reader of the code found
    Mutant(
        "a letter from town is packed into nothing when its writer has left",
        "server/offer.py",
        "    if make is own_records and (written or was_written_here(tx, row.no, no)):\n",
        "    if make is own_records and written:\n",
        ("tests/unit/server/test_offer.py",),
        "P1",
    ),
    Mutant(
        "a letter whose bytes are gone counts as done",
        "server/receive.py",
        "    arrival = _load(ports, row, job)\n",
        "    try:\n        arrival = _load(ports, row, job)\n    except NotFound:\n        return False\n",
        RECEIVE,
        "P6",
    ),
    Mutant(
        "a letter is taken for a domain that has just gone",
        "server/intake.py",
        "        gone = [row for row, _ in rows if not _is_served(tx, row)]\n",
        "        gone: list[TenantRow] = []\n",
        RECEIVE,
        "P6",
    ),
    Mutant(
        "a letter that waits again is forgotten",
        "server/sweep.py",
        "[one.no for one in found if one.no in still]",
        "[one.no for one in found if one.no in still or True]",
        ("tests/unit/server/test_sweep.py",),
        "P1",
    ),
    Mutant(
        "nobody is told of a package that cannot be used",
        "device/run_sync.py",
        "        if not remember(tx, tenant.no, _WRONG, offered.ref, now):\n",
        "        if remember(tx, tenant.no, _WRONG, offered.ref, now) is None:\n",
        ("tests/e2e/test_bad_packages_down.py", "tests/e2e/test_holes.py"),
        "P7",
    ),
    Mutant(
        "one of two letters of a name is refused for the other",
        "server/receipts.py",
        "    if id is not None and not (namesakes and state is DeliveryState.REFUSED):\n",
        "    if id is not None:\n",
        ("tests/unit/server/test_receipts.py",),
        "P22",
    ),
)
