"""Celery over RabbitMQ (``amqp:``, ``amqps:``) or Azure Service Bus (``azureservicebus:``), as a doorbell for rows of work.

A message is ``lokole.run`` with the number of a row, and is acknowledged when that row was looked at: so a broker, or a worker,
that dies in between costs a repeat, which finds the row leased or done. Nothing is put off inside the broker.

RabbitMQ: one durable quorum queue; its name is new, because a queue that exists with other arguments is refused (406).
Service Bus: one queue, locks renewed while a message is at work; the policy needs Manage, Send and Listen, since the queue is made when it is missing.
This was written after kombu's transport and its tests; no Service Bus answered while it was tested (``docs/quirks.md``).
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from lokole.mail.errors import Temporary
from lokole.ports.broker import Hand

log = logging.getLogger(__name__)

SCHEMES = ("amqp", "amqps", "azureservicebus")
QUEUE = "lokole-work"
TASK = "lokole.run"
#: credentials of the machine instead of a key (Service Bus)
_WITHOUT_KEY = ("defaultazurecredential", "managedidentitycredential")
#: Seconds: to connect; for the broker to say that it has a message; for a worker process to build its parts.
_CONNECT, _CONFIRM, _BEGIN = 5.0, 15.0, 120.0
#: Seconds that Service Bus hides a message without a renewal, and until when it is renewed.
_PEEK_LOCK, _LONGEST_WORK = 60, 6 * 3600


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is: ``url`` as kombu reads it, secrets in it; ``queue`` is ours there."""

    url: str = field(repr=False)
    queue: str = QUEUE
    is_rabbitmq: bool = True

    @classmethod
    def read(cls, url: str, password: str | None = None) -> Address:
        """Read ``amqp://USER@HOST:PORT/VHOST?queue=NAME`` or ``azureservicebus://POLICY@NAMESPACE?queue=NAME``; raises ValueError.

        ``password`` is the user's, or the policy's key; it may stand in the URL instead.
        """
        place, _, query = url.partition("?")
        scheme, _, rest = place.partition("://")
        options = dict(parse_qsl(query, keep_blank_values=True))
        queue = options.pop("queue", QUEUE)
        # the key of a policy may hold slashes, as the first Lokole's setting had it
        login, _, where = rest.rpartition("@")
        if scheme not in SCHEMES or not where.strip("/"):
            raise ValueError("a broker is named amqp://USER@HOST/VHOST or azureservicebus://POLICY@NAMESPACE")
        if not queue or options:
            raise ValueError("after the “?” of a broker only queue=NAME may stand")
        user, _, written = login.partition(":")
        if scheme == "azureservicebus":
            secret = password or written
            if user.lower() in _WITHOUT_KEY:
                return cls(f"azureservicebus://{user}@{where}", queue, is_rabbitmq=False)
            if not user or not secret:
                raise ValueError("azureservicebus://POLICY@NAMESPACE needs the key of its policy")
            return cls(f"azureservicebus://{user}:{secret}@{where}", queue, is_rabbitmq=False)
        secret = password or unquote(written)
        told = quote(unquote(user), safe="") + (f":{quote(secret, safe='')}" if secret else "")
        return cls(f"{scheme}://{told}@{where}" if told else f"{scheme}://{where}", queue)


class CeleryBroker:
    """A ``ports.broker.Broker``; nothing is connected before it is needed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.app = make_app(address)
        self._connection: Any = None
        self._lock = threading.Lock()

    def publish(self, numbers: Sequence[int]) -> None:
        """See the port. A connection that went stale while nothing was said is opened once more."""
        left = list(numbers)
        with self._lock:
            for attempt in (1, 2):
                try:
                    producer = self.app.amqp.Producer(self._connected(), auto_declare=False)
                    while left:
                        self.app.send_task(
                            TASK, args=[left[0]], producer=producer, retry=False, ignore_result=True,
                            confirm_timeout=_CONFIRM if self.address.is_rabbitmq else None,
                        )  # fmt: skip
                        del left[0]
                    return
                except Exception as error:
                    self._drop()
                    if attempt == 2:
                        raise Temporary(f"the broker was not reached: {type(error).__name__}") from error

    def serve(self, make: Callable[[int], Hand], processes: int) -> None:
        """See the port; Celery's prefork pool, its signals and its warm shutdown."""
        from billiard import current_process
        from celery import signals
        from celery.exceptions import SecurityWarning

        hands: list[Hand] = []

        def begin(**_: Any) -> None:
            hands.append(make(current_process().index))

        def end(**_: Any) -> None:
            while hands:
                hands.pop().stop()

        def logging_is_set_up(**_: Any) -> None:
            """Celery leaves alone what somebody answered for."""

        take_tasks(self.app, lambda no: hands[0].run(no))
        signals.worker_process_init.connect(begin, weak=False)
        signals.worker_process_shutdown.connect(end, weak=False)
        signals.setup_logging.connect(logging_is_set_up, weak=False)
        logging.getLogger("celery").setLevel(logging.WARNING)
        signals.worker_ready.connect(lambda **_: log.info("the worker is ready"), weak=False)
        worker = self.app.Worker(
            pool="prefork", concurrency=processes, quiet=True, loglevel="WARNING",
            without_gossip=True, without_mingle=True, without_heartbeat=True,
        )  # fmt: skip
        with warnings.catch_warnings():
            # its reason is pickled messages, and only JSON is taken here
            warnings.simplefilter("ignore", SecurityWarning)
            worker.start()

    def waiting(self) -> int | None:
        """See the port; Service Bus is asked by its own tools."""
        if not self.address.is_rabbitmq:
            return None
        return int(self._ask(lambda channel, queue: queue(channel).queue_declare().message_count))

    def clear(self) -> None:
        """See the port."""
        self._ask(lambda channel, queue: queue(channel).delete())

    def close(self) -> None:
        """See the port."""
        with self._lock:
            self._drop()

    def _ask(self, question: Callable[[Any, Any], Any]) -> Any:
        with self._lock:
            try:
                queue = self.app.amqp.queues[self.address.queue]
                return question(self._connected().default_channel, queue)
            except Exception as error:
                self._drop()
                raise Temporary(f"the broker was not reached: {type(error).__name__}") from error

    def _connected(self) -> Any:
        if self._connection is None:
            # nobody reads from this connection while nothing is published, so the broker gets no heartbeat and asks for none
            # and no answer of it is waited for without end
            options = _transport_options(self.address)
            if self.address.is_rabbitmq:
                options["read_timeout"] = _CONFIRM
            self._connection = self.app.connection_for_write(heartbeat=0, transport_options=options)
            self._connection.ensure_connection(max_retries=1, timeout=_CONNECT)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:  # it was broken already
                log.debug("a broken connection: %s", type(error).__name__)


def make_app(address: Address) -> Any:
    """The Celery application: what is set here is what ``docs/adr/0008`` asks of an engine."""
    from celery import Celery
    from kombu import Exchange, Queue

    app = Celery("lokole", broker=address.url, set_as_current=False)
    arguments = {"x-queue-type": "quorum"} if address.is_rabbitmq else None
    exchange = Exchange(address.queue, type="direct", durable=True)
    app.conf.update(
        task_queues=[
            Queue(address.queue, exchange, routing_key=address.queue, durable=True, queue_arguments=arguments)
        ],
        task_default_queue=address.queue,
        task_default_exchange=address.queue,
        task_default_exchange_type="direct",
        task_default_routing_key=address.queue,
        task_create_missing_queues=False,
        task_default_delivery_mode="persistent",
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_detect_quorum_queues=True,
        worker_consumer="lokole.adapters.broker.consumer:Consumer",
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_proc_alive_timeout=_BEGIN,
        # a piece of work outlives the connection: its lease keeps a second delivery off
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=_CONNECT,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=30,
        broker_transport_options=_transport_options(address),
    )
    return app


def take_tasks(app: Any, run: Callable[[int], None]) -> None:
    """Let ``run`` be called with the number in each message."""

    def task(no: int) -> None:
        run(int(no))

    app.task(task, name=TASK, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    app.finalize()


def _transport_options(address: Address) -> dict[str, Any]:
    if address.is_rabbitmq:
        return {"confirm_publish": True, "write_timeout": _CONFIRM}
    return {
        "use_lock_renewal": True,
        "max_lock_renewal_duration": _LONGEST_WORK,
        "peek_lock_seconds": _PEEK_LOCK,
        "wait_time_seconds": 5,
        # threads of the SDK would outlive the connection and keep the process from ending
        "uamqp_keep_alive_interval": 0,
    }
