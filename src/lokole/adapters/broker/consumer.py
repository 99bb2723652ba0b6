"""Celery's consumer without the delayed delivery that it sets up beside quorum queues: 28 queues that nothing here would use."""

from __future__ import annotations

from typing import Any, ClassVar

from celery.worker import consumer


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """As Celery has it, but for one step."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc]
        """The steps in which a consumer starts."""

        default_steps: ClassVar[list[Any]] = [
            step for step in consumer.Consumer.Blueprint.default_steps if "delayed_delivery" not in step
        ]
