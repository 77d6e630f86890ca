"""The devices that a run trains on, and the rows of a batch that each of them gets."""

import functools

import tensorflow as tf

from yt8m.errors import UserError
from yt8m.training import hosts


def on_gpu():
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def choose_strategy(devices=0):
    """The tf.distribute strategy for the machine.

    Args:
        devices: devices to use; 0 means every GPU, or one CPU. More than one without GPUs makes that many logical CPUs.

    Raises:
        UserError: more devices asked for than there are, a CPU that cannot be divided any more, or as hosts.place.
    """
    if hosts.several():
        return hosts.strategy()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and devices > len(gpus):
        raise UserError(f"--devices={devices}: this machine has {len(gpus)} GPUs.")
    if not gpus and devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
        except RuntimeError as error:
            raise UserError(
                f"--devices={devices}: TensorFlow has computed in this process already, which divides its CPU no more. Train in "
                "a process of its own, or leave it out."
            ) from error
        return tf.distribute.MirroredStrategy(
            [f"CPU:{index}" for index in range(devices)], cross_device_ops=tf.distribute.ReductionToOneDevice()
        )
    count = devices or len(gpus)
    return _of_gpus(count) if count > 1 else tf.distribute.get_strategy()


@functools.cache
def _of_gpus(count):
    """The strategy of so many GPUs, one a process: two number their reductions alike, and those of another model do not fit."""
    return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(count)])


def distribute(strategy, batches):
    """Deals the rows of each global batch out to the replicas.

    Args:
        strategy: the strategy.
        batches: function of worker=(index, count) -> tf.data.Dataset of the rows index::count of every global batch.

    Returns:
        An iterable of (distributed) batches.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batches(worker=(0, 1))

    def local(context):
        each = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * each
        return tf.data.Dataset.choose_from_datasets(
            [batches(worker=(first + index, replicas)) for index in range(each)], tf.data.Dataset.range(each).repeat()
        )

    return strategy.distribute_datasets_from_function(local)
