"""A LLaVA of 26 000 random weights goes the way of a real one."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.videoqa import asker
from video2emg.core.errors import UserError
from video2emg.videoqa.answerers.cache import Cache
from video2emg.videoqa.answerers.local import Local
from video2emg.videoqa.prompt import Sight

_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<image>{% else %}{{ p['text'] }}{% endif %}\n{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Model and processor as `save_pretrained` leaves them."""
    path = tmp_path_factory.mktemp("llava")
    bytewise = pre_tokenizers.ByteLevel()
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = bytewise, decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=bytewise.alphabet()
    )
    tokenizer.train_from_iterator(["Answer with the letter of one option"], trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        pad_token="<pad>", extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    pictures = transformers.CLIPImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    transformers.LlavaProcessor(
        image_processor=pictures, tokenizer=fast, patch_size=14, chat_template=_TEMPLATE,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
    ).save_pretrained(path)  # fmt: skip
    small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(
            image_size=28, patch_size=14, projection_dim=16, **small | {"num_hidden_layers": 2}
        ),
        text_config=transformers.LlamaConfig(
            vocab_size=len(fast), num_key_value_heads=2, max_position_embeddings=4096, **small
        ),
        image_token_index=fast.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    transformers.LlavaForConditionalGeneration(config).save_pretrained(path)
    return path


def test_a_local_model_is_asked_and_its_answers_kept(folder, tmp_path):
    cache = Cache(tmp_path)
    local = Local(str(folder), asker.clip, Sight(3), cache, longest=5)
    questions = [asker.question(0, "d", "text"), asker.question(1, "d"), asker.question(2)]
    said = local.answer(questions)
    assert [0 < a.completion_tokens <= 5 and not a.problem for a in said.values()] == [True] * 3
    # The second turn of a dialogue holds the first, with its pictures.
    assert said["q1"].prompt_tokens > said["q0"].prompt_tokens > 3 * 4
    assert cache.hits == 0
    again = Cache(tmp_path)
    assert Local(str(folder), asker.clip, Sight(3), again, longest=5).answer(questions) == said
    assert again.hits == 3


def test_pictures_reach_the_model(folder, tmp_path):
    local = Local(str(folder), asker.clip, Sight(2), Cache(tmp_path), longest=1)
    with_two = local.answer([asker.question(0)])["q0"].prompt_tokens
    local = Local(str(folder), asker.clip, Sight(4), Cache(tmp_path), longest=1)
    assert local.answer([asker.question(0)])["q0"].prompt_tokens >= with_two + 2 * 4


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(UserError, match="--model hf:"):
        Local(str(tmp_path), asker.clip, Sight(), Cache(tmp_path))
