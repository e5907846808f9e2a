using ModelSdk.Compiler.Evaluation;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Compiler.Stages;

/// <summary>The tokens that end an answer: those of generation_config.json, and the template's end of turn.</summary>
internal static class EndTokens
{
    public static IReadOnlyList<int> Of(string baseFolder, PromptEncoder encoder)
    {
        string end = encoder.Template.EndOfTurn;
        int id = encoder.Tokenizer.TokenId(end)
            ?? throw new ModelFormatException(DiagnosticCodes.TokenizerContradictory, $"The chat template ends turns with {end}, which is no token of tokenizer.json. The two are not of one model.", Path.Combine(baseFolder, "tokenizer.json"));
        return [.. GenerationConfig.FromFolder(baseFolder).EosTokens.Append(id).Distinct().Order()];
    }
}
