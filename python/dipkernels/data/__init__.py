"""Data sets, their splits, and augmentation."""

from dipkernels.data.augmentation import AffineAugmentation, affine, random_affine, resample
from dipkernels.data.boxes import CROWD, NO_OBJECT, BoxAugmentation, boxes_of, padded_boxes
from dipkernels.data.canvases import BACKGROUND, canvases, windows
from dipkernels.data.clips import clip_folders, read_clip
from dipkernels.data.dataset import Dataset, Splits, split
from dipkernels.data.digit_tasks import digit_tasks, slant
from dipkernels.data.digits import digits
from dipkernels.data.films import Film, film
from dipkernels.data.folders import FolderData, camvid_objects, image_folders
from dipkernels.data.idx import read_idx
from dipkernels.data.masks import CAMVID_CLASSES, MaskAugmentation, camvid, class_weights
from dipkernels.data.mnist import mnist
from dipkernels.data.moving_digits import DIRECTIONS, moving_digits
from dipkernels.data.noise import NoiseAugmentation, noisy
from dipkernels.data.registration import PairAugmentation, moved_pairs
from dipkernels.data.scenes import SCENE_CLASSES, SCENE_OBJECTS, scenes
from dipkernels.data.toys import TOYS, toy_points
from dipkernels.data.voc import VocData, voc

__all__ = [
    "BACKGROUND",
    "CAMVID_CLASSES",
    "CROWD",
    "DIRECTIONS",
    "NO_OBJECT",
    "SCENE_CLASSES",
    "SCENE_OBJECTS",
    "TOYS",
    "AffineAugmentation",
    "BoxAugmentation",
    "Dataset",
    "Film",
    "FolderData",
    "MaskAugmentation",
    "NoiseAugmentation",
    "PairAugmentation",
    "Splits",
    "VocData",
    "affine",
    "boxes_of",
    "camvid",
    "camvid_objects",
    "canvases",
    "class_weights",
    "clip_folders",
    "digit_tasks",
    "digits",
    "film",
    "image_folders",
    "mnist",
    "moved_pairs",
    "moving_digits",
    "noisy",
    "padded_boxes",
    "random_affine",
    "read_clip",
    "read_idx",
    "resample",
    "scenes",
    "slant",
    "split",
    "toy_points",
    "voc",
    "windows",
]
