using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Decoding;

/// <summary>
/// A request's prompt, encoded in a cache up to its last token. The base runs it up to the generation prompt; the mode that answers runs the rest (masked
/// LoRA; paper, section 2), so that every mode shares the encoded prompt. In mode "auto" the switcher reads the prompt while the base encodes it, and
/// chooses the mode before the generation prompt is run (paper, section 3).
/// </summary>
/// <param name="Graph">The graph of the mode that answers.</param>
/// <param name="Tokens">Tokens of the whole prompt.</param>
/// <param name="Encoded">Tokens that the base ran.</param>
/// <param name="Reused">Tokens that the cache held.</param>
/// <param name="Routing">What the switcher chose; null when the mode was named.</param>
/// <param name="Verifier">Judges answers of this mode; null when there is none or the request wants none.</param>
internal sealed record EncodedPrompt(GraphSession Graph, int Tokens, int Encoded, int Reused, Routing? Routing, AnswerVerifier? Verifier)
{
    /// <summary>Encodes what the cache lacks; its logits are then those behind the prompt.</summary>
    public static EncodedPrompt Create(LoadedBundle model, TokenCache cache, ReasoningRequest request, CancellationToken cancellationToken)
    {
        string name = request.Mode ?? model.Bundle.DefaultMode;
        bool auto = name == BundleManifest.AutoMode;
        if (auto && model.Bundle.Switcher is null)
        {
            throw new InvalidRequestException(
                $"The mode \"{BundleManifest.AutoMode}\" needs a switcher, and this model has none. Name a mode ({string.Join(", ", model.Bundle.Modes)}), or add \"switcher\" to the model's manifest and build again.");
        }

        int mode = auto ? -1 : model.Sessions.IndexOf(name);
        Prompt prompt = Prompt.Create(request, model.Bundle, model.Template, model.Tokenizer);
        int reserved = auto ? model.Sessions.Modes.Select((_, index) => Reserved(model, request, index)).Max() : Reserved(model, request, mode);
        if (prompt.Tokens.Length + reserved > cache.Context)
            throw new PromptTooLongException(prompt.Tokens.Length, reserved, cache.Context);

        Routing? routing = null;
        int before = 0;
        if (auto)
            (mode, routing, before) = Route(model, cache, request, prompt, cancellationToken);
        (int encoded, int reused) = Encode(model, cache, prompt, mode, cancellationToken);
        // What the switcher's pass ran was new, though the cache holds it now.
        return new EncodedPrompt(model.Sessions[mode], prompt.Tokens.Length, encoded + before, reused - before, routing, request.Voting.Weighted ? model.Verifier(mode) : null);
    }

    /// <summary>A reasoning mode must be able to close its reasoning and answer, and an answer to be verified; the base may answer in a word.</summary>
    private static int Reserved(LoadedBundle model, ReasoningRequest request, int mode) =>
        mode == 0 ? 1 : model.Output.ForceAnswerTokens.Length + model.Bundle.AnswerTokens + 1 + (request.Voting.Weighted ? model.VerifierTokens(mode) : 0);

    private static (int Mode, Routing Routing, int Encoded) Route(LoadedBundle model, TokenCache cache, ReasoningRequest request, Prompt prompt, CancellationToken cancellationToken)
    {
        BundleSwitcher switcher = model.Bundle.Switcher!;
        float[] logits = new float[switcher.Modes.Count];
        int encoded = cache.Read(model.Sessions.Prefill!, switcher, prompt.Tokens.AsSpan(0, prompt.Boundary), logits, cancellationToken);
        float max = logits.Max();
        double sum = logits.Sum(logit => Math.Exp(logit - max));
        if (double.IsNaN(sum))
            throw new InvalidLogitsException(BundleManifest.AutoMode, cache.Length - 1);

        // 1 - P(base) without cancellation: the sum of the others.
        double score = logits.Skip(1).Sum(logit => Math.Exp(logit - max)) / sum;
        double threshold = request.SwitcherThreshold ?? switcher.Threshold;
        int mode = score >= threshold ? 1 + Array.IndexOf(logits[1..], logits[1..].Max()) : 0;

        return (mode, new Routing(score, threshold, model.Sessions.Modes[mode]), encoded);
    }

    private static (int Encoded, int Reused) Encode(LoadedBundle model, TokenCache cache, Prompt prompt, int mode, CancellationToken cancellationToken)
    {
        GraphSession graph = model.Sessions[mode];
        ReadOnlySpan<int> tokens = prompt.Tokens;
        // The last token is always run again: its logits choose the first new token.
        int reused = Math.Min(cache.CommonPrefix(tokens, prompt.Boundary, graph.Index), tokens.Length - 1);
        cache.Rewind(reused);
        int shared = reused;
        if (reused < prompt.Boundary && model.Sessions.Encoder is { } encoder && encoder != graph)
        {
            cache.Append(encoder, tokens[reused..prompt.Boundary], logits: false, cancellationToken);
            shared = prompt.Boundary;
        }

        cache.Append(graph, tokens[shared..], logits: true, cancellationToken);
        return (graph.Index == 0 ? tokens.Length - reused : Math.Max(0, prompt.Boundary - reused), reused);
    }
}
