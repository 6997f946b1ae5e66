"""A LLaVA of 26 000 random weights is asked like a real one."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.videoqa.chat_program import make_clip, make_question
from video2emg.core.errors import UserError
from video2emg.videoqa.prompt import PromptSettings
from video2emg.videoqa.respondents.answer_cache import AnswerCache
from video2emg.videoqa.respondents.local import LocalRespondent

_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<image>{% else %}{{ p['text'] }}{% endif %}\n{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Model and processor as `save_pretrained` writes them."""
    path = tmp_path_factory.mktemp("llava")
    byte_level = pre_tokenizers.ByteLevel()
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = byte_level, decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=byte_level.alphabet()
    )
    tokenizer.train_from_iterator(["Answer with the letter of one option"], trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )
    images = transformers.CLIPImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    transformers.LlavaProcessor(
        image_processor=images,
        tokenizer=fast,
        patch_size=14,
        chat_template=_TEMPLATE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(path)
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


def respondent(folder, cache, frames, max_tokens):
    settings = PromptSettings(frames)
    return LocalRespondent(str(folder), make_clip, settings, cache, max_tokens)


def test_answers_are_generated_and_cached(folder, tmp_path):
    cache = AnswerCache(tmp_path)
    questions = [make_question(0, "d", "text"), make_question(1, "d"), make_question(2)]
    answers = respondent(folder, cache, 3, 5).answer(questions)
    assert len(answers) == 3
    assert all(0 < a.completion_tokens <= 5 and not a.problem for a in answers.values())
    # The second turn of a dialogue contains the first, with its pictures.
    assert answers["q1"].prompt_tokens > answers["q0"].prompt_tokens > 3 * 4
    assert cache.hits == 0
    second_cache = AnswerCache(tmp_path)
    assert respondent(folder, second_cache, 3, 5).answer(questions) == answers
    assert second_cache.hits == 3


def test_pictures_reach_the_model(folder, tmp_path):
    def prompt_tokens(frames):
        answers = respondent(folder, AnswerCache(tmp_path), frames, 1).answer([make_question(0)])
        return answers["q0"].prompt_tokens

    assert prompt_tokens(4) >= prompt_tokens(2) + 2 * 4


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="--model hf:"):
        respondent(tmp_path, AnswerCache(tmp_path), 8, 0)
