# SPDX-License-Identifier: Apache-2.0
"""What ./atoll bench can measure, by name."""
from atoll.bench import boot
from atoll.bench.measure import job_names, make_job
from atoll.bench.network import SERVERS, make_network_job

BOOT = "boot"


def known_jobs():
    return [BOOT, *SERVERS, *job_names()]


def job_of(name):
    """Its program built."""
    if name == BOOT:
        return boot.make_boot_job()
    return make_network_job(name) if name in SERVERS else make_job(name)
