"""tms: toy models of superposition. Describe, train, measure, show."""

from tms.axis import axis
from tms.experiment import Experiment
from tms.init import Given, Normal, XavierNormal
from tms.inputs import Dataset, KSparse, OneHot, SparseUniform
from tms.loss import MSE, CrossEntropy
from tms.model import Autoencoder
from tms.optimizer import SGD, Adam, AdamW
from tms.schedule import Cosine, Linear, WarmupCosine
from tms.train import DivergenceWarning, best, experiment_of, train
