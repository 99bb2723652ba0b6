"""How a broker is named, and what Celery is told of it; without any broker."""

from __future__ import annotations

import pytest

from lokole.adapters.broker.celery import QUEUE, Address, CeleryBroker, make_app
from lokole.adapters.broker.consumer import Consumer


def test_a_rabbitmq_keeps_its_host_and_gets_the_password_apart() -> None:
    found = Address.read("amqp://lokole@broker.example.org:5671/mail?queue=north", "p/w:@")
    assert found.url == "amqp://lokole:p%2Fw%3A%40@broker.example.org:5671/mail"
    assert (found.queue, found.is_rabbitmq) == ("north", True)
    assert "p%2F" not in repr(found)


def test_a_service_bus_takes_its_key_as_it_is() -> None:
    found = Address.read("azureservicebus://policy@village", "some/key+=")
    assert found == Address("azureservicebus://policy:some/key+=@village", QUEUE, is_rabbitmq=False)
    assert Address.read("azureservicebus://policy:some/key+=@village") == found
    assert Address.read("azureservicebus://DefaultAzureCredential@village").url.endswith(
        "//DefaultAzureCredential@village"
    )


@pytest.mark.parametrize(
    "url",
    ["redis://host/", "amqp://", "amqp:", "azureservicebus://policy@village", "amqp://h/?x=1", "amqp://h/?queue="],
)
def test_what_names_no_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"broker|policy"):
        Address.read(url)


def test_rabbitmq_has_one_durable_quorum_queue_and_late_acknowledgements() -> None:
    app = make_app(Address.read("amqp://guest@localhost/"))
    (queue,) = app.conf.task_queues
    assert (queue.name, queue.durable, queue.queue_arguments) == (QUEUE, True, {"x-queue-type": "quorum"})
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.broker_transport_options["confirm_publish"]
    assert not app.conf.worker_enable_remote_control


def test_service_bus_renews_locks_and_has_a_queue_name_that_it_takes() -> None:
    app = make_app(Address.read("azureservicebus://policy@village", "key"))
    (queue,) = app.conf.task_queues
    assert queue.queue_arguments is None
    options = app.conf.broker_transport_options
    assert options["use_lock_renewal"]
    assert options["max_lock_renewal_duration"] > options["peek_lock_seconds"] == 60


def test_kombu_reads_what_service_bus_is_told() -> None:
    from kombu.transport.azureservicebus import Channel, Transport

    broker = CeleryBroker(Address.read("azureservicebus://policy@village", "some/key="))
    connection = broker.app.connection_for_write()
    assert Transport.parse_uri(connection.hostname) == ("village.servicebus.windows.net", "policy:some/key=")
    assert connection.transport_cls == "azureservicebus"
    channel = Channel.__new__(Channel)
    channel.connection = type("Transport", (), {"client": connection})()
    assert channel.use_lock_renewal
    assert channel.peek_lock_seconds == 60
    assert channel.entity_name(QUEUE) == QUEUE


def test_no_queues_of_celerys_own_are_made() -> None:
    assert not any("delayed" in step for step in Consumer.Blueprint.default_steps)
