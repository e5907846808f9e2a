using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Voting;

namespace ModelSdk.Runtime.Decoding;

/// <summary>One stream behind an encoded prompt, token by token, on the cache that holds the prompt.</summary>
internal static class Generation
{
    /// <summary>Answers a request; blocks the calling thread.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cache">What is encoded so far; holds the prompt afterwards, and what one stream generated.</param>
    /// <param name="request">The request.</param>
    /// <param name="sink">Takes text on the calling thread: of one stream as soon as it is decided, of several streams when the vote has ended.</param>
    /// <param name="cancellationToken">Checked before each model pass.</param>
    public static ReasoningResult Run(LoadedBundle model, TokenCache cache, ReasoningRequest request, Action<UpdateKind, string>? sink, CancellationToken cancellationToken)
    {
        EncodedPrompt prompt = EncodedPrompt.Create(model, cache, request, cancellationToken);
        // What the switcher found easy is answered directly, once.
        if (prompt.Routing is not null && prompt.Graph.Index == 0)
            request = request with { Streams = 1 };
        return request.Streams > 1 || request.Voting.ProbeStable > 0
            ? ParallelGeneration.Run(model, cache, request, prompt, sink, cancellationToken)
            : RunOne(model, cache, request, prompt, sink, cancellationToken);
    }

    private static ReasoningResult RunOne(
        LoadedBundle model,
        TokenCache cache,
        ReasoningRequest request,
        EncodedPrompt prompt,
        Action<UpdateKind, string>? sink,
        CancellationToken cancellationToken)
    {
        int room = cache.Context - prompt.Tokens - (prompt.Verifier?.Tokens.Length ?? 0);
        StreamState state = new(model.Output, request.Sampling, room, request.Budget, request.MaxTokens, request.Stop, sink) { Recorder = prompt.Verifier?.Recorder() };
        Decode(model, cache, prompt.Graph, state, cancellationToken);
        Usage usage = new(prompt.Tokens, prompt.Encoded, prompt.Reused, state.ReasoningTokens, state.AnswerTokens, request.Budget, state.Forced);
        ReasoningResult result = new(state.Answer, state.Reasoning, prompt.Graph.Mode, usage, state.Finish) { Routing = prompt.Routing };
        return prompt.Verifier is null ? result : Verify(model, cache, prompt, state, result, cancellationToken);
    }

    private static void Decode(LoadedBundle model, TokenCache cache, GraphSession graph, StreamState state, CancellationToken cancellationToken)
    {
        int[] one = new int[1];
        while (true)
        {
            switch (state.Next(cache.Logits))
            {
                case StreamAction.End:
                    return;
                case StreamAction.Force:
                    cache.Append(graph, model.Output.ForceAnswerTokens, logits: true, cancellationToken);
                    break;
                case StreamAction.Step:
                    one[0] = state.Token;
                    cache.Append(graph, one, logits: true, cancellationToken);
                    break;
                default:
                    throw new InvalidLogitsException(graph.Mode, cache.Length - 1);
            }
        }
    }

    /// <summary>Asks the verifier about the answer.</summary>
    private static ReasoningResult Verify(
        LoadedBundle model,
        TokenCache cache,
        EncodedPrompt prompt,
        StreamState state,
        ReasoningResult result,
        CancellationToken cancellationToken)
    {
        VoteTally tally = new();
        if (Ballot.Of(model.Bundle.Answer, state) is string answer)
        {
            if (state.Unrun is int last)
                cache.Append(prompt.Graph, [last], logits: false, cancellationToken);
            float logit = cache.Score(prompt.Verifier!.Graph, prompt.Verifier.Tokens, cancellationToken);
            tally.Add(answer, prompt.Verifier.Probability(logit, cache.Length + prompt.Verifier.Tokens.Length - 1, state.Confidence));
        }

        IReadOnlyList<Vote> votes = tally.Votes();
        return result with { Votes = votes, Confidence = votes.Count > 0 ? votes[0].Confidence : 0 };
    }
}
