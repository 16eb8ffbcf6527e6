"""The former home of what `terraclick.values` holds."""

from terraclick.values import Click as Click
from terraclick.values import Prompt as Prompt
from terraclick.values import Reference as Reference
from terraclick.values import Target as Target
