"""Several hosts that train one model together: which of them this process is, where they wait, what they agree on.

TF_CONFIG names them, the same list on each. The train_dir is one folder that all of them see; the chief, the first of the list,
writes what others read there. Nobody looks for a file that another may be writing: they wait for each other in between.
"""

import functools
import json
import os
import signal

import tensorflow as tf

from yt8m.errors import UserError

VARIABLE = "TF_CONFIG"
_JOBS = ("chief", "worker")  # those that train, in the order in which they count


def several():
    """Whether TF_CONFIG names hosts, be it a single one."""
    return VARIABLE in os.environ


def place():
    """(index, count): which of the hosts this is, the chief being 0, and how many they are; (0, 1) without TF_CONFIG.

    Raises:
        UserError: TF_CONFIG names no hosts, or not this one.
    """
    if not several():
        return 0, 1
    text = os.environ[VARIABLE]
    way_out = 'Expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        said = json.loads(text)
    except ValueError as error:
        raise UserError(f"{VARIABLE}={text}: not JSON ({error}). {way_out}.") from None
    try:
        cluster, kind, number = said["cluster"], said["task"]["type"], int(said["task"]["index"])
        hosts = [(job, index) for job in _JOBS for index in range(len(cluster.get(job, ())))]
        return hosts.index((kind, number)), len(hosts)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{VARIABLE}={text}: does not say which of its hosts this is. {way_out}.") from None


def is_chief():
    """Whether this process writes what the hosts have in common; the only process always does."""
    return place()[0] == 0


@functools.cache
def strategy():
    """The strategy of the hosts, one a process. It must be made before TensorFlow computes anything."""
    place()
    return tf.distribute.MultiWorkerMirroredStrategy()


def join():
    """Waits until all hosts are there, where there are several."""
    if several():
        strategy()
        wait()


def wait():
    """Returns when all hosts have come here; at once where there is but one process."""
    if several():
        _sum(tf.zeros([1], tf.int32))


def agree(asked, stop_training):
    """What the hosts do together if any of them wants to stop.

    Args:
        asked: number of the signal that this host heard, or 0.
        stop_training: whether a callback here wants to stop.

    Returns:
        (asked, stop_training) of all of them.
    """
    if not several():
        return asked, stop_training
    interrupted, terminated, stop = _sum(tf.constant([asked == signal.SIGINT, asked == signal.SIGTERM, stop_training])).numpy()
    return (signal.SIGTERM if terminated else signal.SIGINT if interrupted else 0), bool(stop)


def _sum(numbers):
    """The sum over all devices of all hosts of a vector that each host has."""
    return _summed()(tf.cast(numbers, tf.int32))


@functools.cache
def _summed():
    def of_replica(numbers):  # what is reduced needs the device of a replica
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(numbers))

    @tf.function(autograph=False)
    def summed(numbers):
        return strategy().experimental_local_results(strategy().run(of_replica, args=(numbers,)))[0]

    return summed
