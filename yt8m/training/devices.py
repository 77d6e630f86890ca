"""The devices that a run trains on, and the rows of a batch that each of them gets."""

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
        UserError: more devices asked for than there are, or as hosts.place.
    """
    if hosts.several():
        return hosts.strategy()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and devices > len(gpus):
        raise UserError(f"--devices={devices}: this machine has {len(gpus)} GPUs.")
    if not gpus and devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
        return tf.distribute.MirroredStrategy(
            [f"CPU:{index}" for index in range(devices)], cross_device_ops=tf.distribute.ReductionToOneDevice()
        )
    names = [f"GPU:{index}" for index in range(devices or len(gpus))]
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


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
