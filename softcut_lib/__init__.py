"""Differentiable graph cuts for image segmentation: the library of the SoftCut book.

Every public name is importable from here and loaded when it is first used, so that
``import softcut_lib`` is quick and the plain package never needs an extra.
"""

from importlib import import_module

__version__ = "0.1.0"

_ROOMS = {
    "grid.edges": "axis_offsets diagonal_offsets edge_shape jump spread crop_edges",
    "grid.weights": "image_weights length_weights",
    "grid.system": "GridSystem",
    "cuts.energy": "cut_energy",
    "cuts.flow": "MaxFlow max_flow min_cut",
    "cuts.expansion": "alpha_expansion",
    "cuts.mixtures": "grabcut box_seeds",
    "cuts.walker": "random_walker",
    "cuts.questions": "Question best_question",
    "circuits.network": (
        "grid_circuit node_voltages edge_currents kirchhoff_residual effective_resistance"
    ),
    "circuits.reduction": "kron_reduce star_mesh",
    "solvers.interface": "solve SolveInfo ConvergenceWarning",
    "solvers.conjugate": "CG PUBLISHED_CG",
    "solvers.cycles": "Multigrid",
    "solvers.dissection": "Direct",
    "solvers.superlu": "SuperLU",
    "layers.softcut": "soft_cut SoftCut",
    "layers.variation": "total_variation TotalVariation",
    "layers.perturbation": "perturbed fenchel_young_loss",
    "layers.program": "linear_program_cut",
    "layers.sampling": "sample_soft_cut",
    "affinity.dense": "DenseAffinity",
    "affinity.nystrom": "NystromAffinity",
    "affinity.lattice": "LatticeAffinity",
    "affinity.keops": "KeOpsAffinity",
    "affinity.tree": "TreeAffinity",
    "losses.dice": "dice_loss focal_dice_loss",
    "losses.pointwise": "focal_loss partial_cross_entropy",
    "losses.balanced": "normalized_cut_loss kernel_cut_loss",
    "losses.pairwise": "potts_loss laplacian_loss",
    "losses.clustering": "kmeans_loss absent_label_loss",
    "losses.crf": "dense_crf_loss gated_crf_loss",
    "losses.tree": "tree_energy_loss",
    "models.basic": "BasicNet EdgeNet",
    "models.atrous": "AtrousNet deeplab_resnet",
    "models.cutnet": "CutNet ScoreAndEdges",
    "models.small_unet": "SmallUNet",
    "models.unet": "TwoDecoderUNet",
    "models.windows": "split_windows join_windows Windowed",
    "models.control": "SumOfDecoders",
    "data": "WeizmannHorses SyntheticHorses fetch_weizmann verify_weizmann toy_scene",
    "data.camvid": "CamVid",
    "data.cityscapes": "Cityscapes",
    "data.synthetic_streets": "SyntheticStreets write_synthetic_streets",
    "data.tiles": "Tiles",
    "data.voc": "PascalVOC",
    "data.sbd": "write_train_aug",
    "data.msra": "MSRA10K",
    "data.scribbles": "draw_scribbles read_scribbles resize_scribbles",
    "weak.scribbles": "simulate_scribbles",
    "weak.graphcut": "grabcut_proposal graph_cut_proposal",
    "weak.proposals": "seeded_normalized_cut kernel_cut",
    "weak.inference": "mean_field crf_kernels",
    "weak.spectral": "normalized_eigenvectors spectral_cut kernel_kmeans",
    "train.metrics": "accuracy mean_iou count_figures",
    "train.experiments": "EXPERIMENTS run",
    "train.shipped": "trained_model trained_models",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'softcut_lib' has no attribute {name!r}")
    value = getattr(import_module(f"softcut_lib.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
