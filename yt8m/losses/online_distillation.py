"""The loss of a mixture whose branches learn from their sum while it is trained."""

import keras
from keras import ops

from yt8m.errors import UserError
from yt8m.losses.starter import CrossEntropyLoss
from yt8m.losses.terms import in_float32
from yt8m.registry import register


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class OnlineDistillationLoss:
    """Cross entropy of a mixture and of each branch, and the divergence of the branches from the mixture.

    With logits z_n of a mixture's branches and z of the mixture, over all C classes, rated or not:
    BCE(z) + sum over n of BCE(z_n) + lam * sum over n of KL(softmax(z / tau) || softmax(z_n / tau)).
    Several mixtures: the sum of this over them, BCE of the whole, and the divergence of the mixtures from the whole, with lam_2
    and tau_2. Both sides of the divergence learn, unless stop_gradient keeps the teacher's. For large tau, tau^2 KL is half the
    mean squared distance of the centred logits.

    Args:
        temperature: tau.
        divergence_weight: lam; None: tau^2. 0: no distillation.
        second_temperature, second_weight: tau_2 and lam_2; None: those of the first level, lam_2 = tau_2^2 where that has no lam.
        stop_gradient: whether the teacher does not learn from its students.
        epsilon: as in CrossEntropyLoss.

    Call: (predictions [B, C], labels [B, C], label_weights [B, C] or None, logits [B, C], branch_logits [B, M, N, C] and
        mixture_logits [B, M, C], as MixtureModel gives them in training) -> float32 [B]; without them, in evaluation, BCE of the
        predictions.
    Raises:
        UserError: a temperature that is not above 0, or a weight below 0.
    Source: the code of the third place of 2019 (R. Lin), with softmax in logarithms in place of its 1e-8; the stop is ours.
    """

    NEEDS = ("logits", "branch_logits", "mixture_logits")

    def __init__(
        self,
        temperature=20.0,
        divergence_weight=None,
        second_temperature=None,
        second_weight=None,
        stop_gradient=False,
        epsilon=1e-5,
    ):
        for name, value in (("temperature", temperature), ("second_temperature", second_temperature)):
            if value is not None and not value > 0:
                raise UserError(f"{name}={value}: use a number above 0.")
        for name, value in (("divergence_weight", divergence_weight), ("second_weight", second_weight)):
            if value is not None and not value >= 0:
                raise UserError(f"{name}={value}: use 0 or more, or None for the squared temperature.")
        self.temperature = temperature
        self.divergence_weight = divergence_weight
        self.second_temperature = second_temperature
        self.second_weight = second_weight
        self.stop_gradient = stop_gradient
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None, logits=None, branch_logits=None, mixture_logits=None):
        p, y, weights = in_float32(predictions, labels, label_weights)
        entropy = CrossEntropyLoss(epsilon=self.epsilon)
        total = entropy(p, y, weights)
        if branch_logits is None:
            return total
        num_mixtures, num_branches = branch_logits.shape[1:3]
        for m in range(num_mixtures):
            teacher = mixture_logits[:, m]
            if num_mixtures > 1:
                total = total + entropy(ops.sigmoid(teacher), y, weights)
            for n in range(num_branches if num_branches > 1 else 0):  # a branch alone is its mixture
                student = branch_logits[:, m, n]
                total = total + entropy(ops.sigmoid(student), y, weights)
                total = total + self._divergence(teacher, student, self.temperature, self.divergence_weight)
        if num_mixtures > 1:
            tau = self.temperature if self.second_temperature is None else self.second_temperature
            weight = self.divergence_weight if self.second_weight is None else self.second_weight
            for m in range(num_mixtures):
                total = total + self._divergence(logits, mixture_logits[:, m], tau, weight)
        return total

    @staticmethod
    def earlier_options(options):
        """What given options meant before lam_2 was lam where only tau_2 is given: {argument: value}, tau_2^2 then."""
        second = options.get("second_temperature")
        if second is None or options.get("second_weight") is not None:
            return {}
        return {"second_weight": float(second) ** 2}

    def _divergence(self, teacher, student, tau, weight):
        """weight * KL(softmax(teacher / tau) || softmax(student / tau)) of each row, float32 [B]."""
        weight = tau**2 if weight is None else weight
        if not weight:
            return 0.0
        teacher = ops.stop_gradient(teacher) if self.stop_gradient else teacher
        of_teacher, of_student = (ops.log_softmax(logits / tau, axis=-1) for logits in (teacher, student))
        return weight * ops.sum(ops.exp(of_teacher) * (of_teacher - of_student), axis=-1)

    def get_config(self):
        return {
            "temperature": self.temperature,
            "divergence_weight": self.divergence_weight,
            "second_temperature": self.second_temperature,
            "second_weight": self.second_weight,
            "stop_gradient": self.stop_gradient,
            "epsilon": self.epsilon,
        }
