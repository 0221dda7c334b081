"""What the command-line tools share: read a config, check it, build its runner."""

from .config import load_config
from .data import check_datasets, use_data_root
from .distributed import leave_group
from .errors import UsageError, usage_errors
from .models import build_backbone, build_model
from .runner import build_runner, use_amp
from .testing import use_show_dir, use_tta, write_results
from .work_dir import claimed, use_fresh_start, use_resume, use_work_dir

__all__ = [
    'UsageError',
    'build_backbone',
    'build_model',
    'build_runner',
    'check_datasets',
    'claimed',
    'leave_group',
    'load_config',
    'usage_errors',
    'use_amp',
    'use_data_root',
    'use_fresh_start',
    'use_resume',
    'use_show_dir',
    'use_tta',
    'use_work_dir',
    'write_results',
]
