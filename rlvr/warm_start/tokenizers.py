"""The tokenizers of the policies that rlvr makes itself: whole words, and few of them."""

from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rlvr.verification.maze import DONE, MOVES

SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>"]
LARGEST_NUMBER = 199
ARITHMETIC_WORDS = ["<answer>", *"+-*()", "make", "from", "with", "compute", "gcd"]
# in MaxRL's order, with the places it keeps free
MAZE_WORDS = [
    *("GRID_START", "GRID_END", "PATH_START", DONE, "PATH", "WALL", "GOAL", "START", "NEWLINE"),
    *MOVES,
    "\n",
    *(f"RESERVED_{number}" for number in range(14)),
]


def arithmetic_tokenizer() -> PreTrainedTokenizerFast:
    """Whole numbers, operators and task names are one token each."""
    numbers = map(str, range(LARGEST_NUMBER + 1))
    tokenizer = word_tokenizer([*SPECIAL, *ARITHMETIC_WORDS, *numbers])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"\s+|(?<=[^\s\d])(?=\d)|(?=[-+*()])|(?<=[-+*()])"), "removed"
    )
    tokenizer.decoder = decoders.Sequence([decoders.Fuse()])
    return wrapped(tokenizer, "<answer>", additional_special_tokens=["<answer>"])


def maze_tokenizer() -> PreTrainedTokenizerFast:
    """The 32 words of MaxRL's maze policy, which F-GRPO trains: squares, moves and marks."""
    tokenizer = word_tokenizer([*SPECIAL, *MAZE_WORDS])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return wrapped(tokenizer, "PATH_START")


def word_tokenizer(words: Sequence[str]) -> Tokenizer:
    return Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))


def wrapped(tokenizer: Tokenizer, before_answer: str, **settings) -> PreTrainedTokenizerFast:
    """For transformers; a prompt is <bos>, the messages' words and `before_answer`."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        chat_template="<bos> {% for message in messages %}{{ message['content'] }} {% endfor %}"
        f"{{% if add_generation_prompt %}}{before_answer}{{% endif %}}",
        **settings,
    )
