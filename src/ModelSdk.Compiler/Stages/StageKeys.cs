using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>Groups of inputs that several stages read.</summary>
internal static class StageKeys
{
    /// <summary>The version of how wide bases are trained; bases up to <see cref="Transformer.RectanglesUpTo"/> have no part of it, as they compute what they always did.</summary>
    public static StageKeyBuilder AddArithmetic(this StageKeyBuilder key, CompileInputs inputs) =>
        inputs.Architecture.HiddenSize > Transformer.RectanglesUpTo ? key.Add("wide", 3) : key;

    /// <summary>What turns conversations into tokens.</summary>
    public static StageKeyBuilder AddText(this StageKeyBuilder key, CompileInputs inputs) => key
        .Add("tokenizer", inputs.BaseDigest("tokenizer.json"))
        .Add("template", inputs.BaseDigest("tokenizer_config.json"))
        .Add("jinja", inputs.BaseDigest("chat_template.jinja"))
        .Add("system", inputs.Manifest.Prompt.System);

    /// <summary>What turns tokens into an answer.</summary>
    public static StageKeyBuilder AddOutput(this StageKeyBuilder key, CompileInputs inputs) => key
        .Add("generation", inputs.BaseDigest("generation_config.json"))
        .Add("thinkOpen", inputs.Manifest.Prompt.ThinkOpen)
        .Add("thinkClose", inputs.Manifest.Prompt.ThinkClose);

    /// <summary>What says whether an answer is right: the manifest's program with its files, else the answer type.</summary>
    public static StageKeyBuilder AddGrading(this StageKeyBuilder key, CompileInputs inputs)
    {
        if (inputs.Manifest.Grader is GraderSettings program)
        {
            foreach (string part in program.Command)
            {
                key.Add("grader", part);
            }

            foreach (InputFile file in inputs.Grader)
            {
                key.Add(file.Name, file.Sha256);
            }

            return key;
        }

        AnswerSettings answer = inputs.Manifest.Answer;
        key.Add("answer", answer.Type.ToString());
        foreach (ChoiceSettings choice in answer.Choices)
        {
            key.Add("choice", choice.Text);
        }

        return answer.Type == AnswerType.Number ? key.Add("tolerance", answer.Tolerance) : key;
    }
}
